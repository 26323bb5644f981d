with sold as (
    select ws_sold_date_sk as date_sk, ws_ext_sales_price as price from web_sales
    union all
    select cs_sold_date_sk, cs_ext_sales_price from catalog_sales
), weeks as (
    select
        d_week_seq,
        sum(case when d_day_name = 'Sunday' then price end) as sun,
        sum(case when d_day_name = 'Monday' then price end) as mon,
        sum(case when d_day_name = 'Tuesday' then price end) as tue,
        sum(case when d_day_name = 'Wednesday' then price end) as wed,
        sum(case when d_day_name = 'Thursday' then price end) as thu,
        sum(case when d_day_name = 'Friday' then price end) as fri,
        sum(case when d_day_name = 'Saturday' then price end) as sat
    from sold
    join date_dim on date_sk = d_date_sk
    group by d_week_seq
), first_year as (
    select weeks.* from weeks, date_dim where date_dim.d_week_seq = weeks.d_week_seq and d_year = 2001
), second_year as (
    select weeks.* from weeks, date_dim where date_dim.d_week_seq = weeks.d_week_seq and d_year = 2001 + 1
)
select
    a.d_week_seq,
    round(a.sun / b.sun, 2) as sun,
    round(a.mon / b.mon, 2) as mon,
    round(a.tue / b.tue, 2) as tue,
    round(a.wed / b.wed, 2) as wed,
    round(a.thu / b.thu, 2) as thu,
    round(a.fri / b.fri, 2) as fri,
    round(a.sat / b.sat, 2) as sat
from first_year a
join second_year b on a.d_week_seq = b.d_week_seq - 53
order by a.d_week_seq
