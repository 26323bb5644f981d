with weekly as (
    select
        d_week_seq,
        ss_store_sk,
        sum(case when d_day_name = 'Sunday' then ss_sales_price end) as sun,
        sum(case when d_day_name = 'Monday' then ss_sales_price end) as mon,
        sum(case when d_day_name = 'Tuesday' then ss_sales_price end) as tue,
        sum(case when d_day_name = 'Wednesday' then ss_sales_price end) as wed,
        sum(case when d_day_name = 'Thursday' then ss_sales_price end) as thu,
        sum(case when d_day_name = 'Friday' then ss_sales_price end) as fri,
        sum(case when d_day_name = 'Saturday' then ss_sales_price end) as sat
    from store_sales, date_dim
    where d_date_sk = ss_sold_date_sk
    group by d_week_seq, ss_store_sk
), first_year as (
    select s_store_name, s_store_id, w.*
    from weekly w, store, date_dim d
    where d.d_week_seq = w.d_week_seq and ss_store_sk = s_store_sk and d_month_seq between 1212 and 1212 + 11
), second_year as (
    select s_store_name, s_store_id, w.*
    from weekly w, store, date_dim d
    where d.d_week_seq = w.d_week_seq and ss_store_sk = s_store_sk and d_month_seq between 1212 + 12 and 1212 + 23
)
select
    a.s_store_name,
    a.s_store_id,
    a.d_week_seq,
    a.sun / b.sun as sun,
    a.mon / b.mon as mon,
    a.tue / b.tue as tue,
    a.wed / b.wed as wed,
    a.thu / b.thu as thu,
    a.fri / b.fri as fri,
    a.sat / b.sat as sat
from first_year a
join second_year b on a.s_store_id = b.s_store_id and a.d_week_seq = b.d_week_seq - 52
order by a.s_store_name, a.s_store_id, a.d_week_seq
limit 100
