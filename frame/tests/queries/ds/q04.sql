with totals as (
    select
        c_customer_id as id,
        c_first_name as first_name,
        c_last_name as last_name,
        c_preferred_cust_flag as preferred,
        d_year as year,
        sum((ss_ext_list_price - ss_ext_wholesale_cost - ss_ext_discount_amt + ss_ext_sales_price) / 2) as total,
        's' as channel
    from customer, store_sales, date_dim
    where c_customer_sk = ss_customer_sk and ss_sold_date_sk = d_date_sk
    group by c_customer_id, c_first_name, c_last_name, c_preferred_cust_flag, d_year
    union all
    select
        c_customer_id,
        c_first_name,
        c_last_name,
        c_preferred_cust_flag,
        d_year,
        sum((cs_ext_list_price - cs_ext_wholesale_cost - cs_ext_discount_amt + cs_ext_sales_price) / 2),
        'c'
    from customer, catalog_sales, date_dim
    where c_customer_sk = cs_bill_customer_sk and cs_sold_date_sk = d_date_sk
    group by c_customer_id, c_first_name, c_last_name, c_preferred_cust_flag, d_year
    union all
    select
        c_customer_id,
        c_first_name,
        c_last_name,
        c_preferred_cust_flag,
        d_year,
        sum((ws_ext_list_price - ws_ext_wholesale_cost - ws_ext_discount_amt + ws_ext_sales_price) / 2),
        'w'
    from customer, web_sales, date_dim
    where c_customer_sk = ws_bill_customer_sk and ws_sold_date_sk = d_date_sk
    group by c_customer_id, c_first_name, c_last_name, c_preferred_cust_flag, d_year
)
select s2.id, s2.first_name, s2.last_name, s2.preferred
from totals s1, totals s2, totals c1, totals c2, totals w1, totals w2
where s2.id = s1.id
    and c1.id = s1.id
    and c2.id = s1.id
    and w1.id = s1.id
    and w2.id = s1.id
    and s1.channel = 's' and s1.year = 2001 and s1.total > 0
    and s2.channel = 's' and s2.year = 2002
    and c1.channel = 'c' and c1.year = 2001 and c1.total > 0
    and c2.channel = 'c' and c2.year = 2002
    and w1.channel = 'w' and w1.year = 2001 and w1.total > 0
    and w2.channel = 'w' and w2.year = 2002
    and case when c1.total > 0 then c2.total / c1.total end
        > case when s1.total > 0 then s2.total / s1.total end
    and case when c1.total > 0 then c2.total / c1.total end
        > case when w1.total > 0 then w2.total / w1.total end
order by s2.id, s2.first_name, s2.last_name, s2.preferred
limit 100
