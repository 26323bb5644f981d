with sold as (
    select ss_store_sk, ss_item_sk, sum(ss_sales_price) as revenue
    from store_sales, date_dim
    where ss_sold_date_sk = d_date_sk and d_month_seq between 1176 and 1176 + 11
    group by ss_store_sk, ss_item_sk
), means as (
    select ss_store_sk, avg(revenue) as mean
    from sold
    group by ss_store_sk
)
select s_store_name, i_item_desc, revenue, i_current_price, i_wholesale_cost, i_brand
from store, item, means, sold
where means.ss_store_sk = sold.ss_store_sk
    and sold.revenue <= 0.1 * means.mean
    and s_store_sk = sold.ss_store_sk
    and i_item_sk = sold.ss_item_sk
order by s_store_name, i_item_desc, revenue, i_current_price, i_wholesale_cost, i_brand
limit 100
