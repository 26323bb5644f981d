with wanted as (
    select i_item_id as id from item where i_category = 'Music'
), by_store as (
    select i_item_id, sum(ss_ext_sales_price) as sales
    from store_sales, date_dim, customer_address, item
    where i_item_id in (select id from wanted)
        and ss_item_sk = i_item_sk
        and ss_sold_date_sk = d_date_sk
        and d_year = 1998
        and d_moy = 9
        and ss_addr_sk = ca_address_sk
        and ca_gmt_offset = -5
    group by i_item_id
), by_catalog as (
    select i_item_id, sum(cs_ext_sales_price) as sales
    from catalog_sales, date_dim, customer_address, item
    where i_item_id in (select id from wanted)
        and cs_item_sk = i_item_sk
        and cs_sold_date_sk = d_date_sk
        and d_year = 1998
        and d_moy = 9
        and cs_bill_addr_sk = ca_address_sk
        and ca_gmt_offset = -5
    group by i_item_id
), by_web as (
    select i_item_id, sum(ws_ext_sales_price) as sales
    from web_sales, date_dim, customer_address, item
    where i_item_id in (select id from wanted)
        and ws_item_sk = i_item_sk
        and ws_sold_date_sk = d_date_sk
        and d_year = 1998
        and d_moy = 9
        and ws_bill_addr_sk = ca_address_sk
        and ca_gmt_offset = -5
    group by i_item_id
)
select i_item_id, sum(sales) as total
from (
    select * from by_store
    union all
    select * from by_catalog
    union all
    select * from by_web
) as channels
group by i_item_id
order by i_item_id, total
limit 100
