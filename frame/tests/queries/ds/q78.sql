with ws as (
    select
        d_year as year,
        ws_item_sk as item_sk,
        ws_bill_customer_sk as customer_sk,
        sum(ws_quantity) as quantity,
        sum(ws_wholesale_cost) as cost,
        sum(ws_sales_price) as price
    from web_sales
    left join web_returns on wr_order_number = ws_order_number and ws_item_sk = wr_item_sk
    join date_dim on ws_sold_date_sk = d_date_sk
    where wr_order_number is null
    group by d_year, ws_item_sk, ws_bill_customer_sk
), cs as (
    select
        d_year as year,
        cs_item_sk as item_sk,
        cs_bill_customer_sk as customer_sk,
        sum(cs_quantity) as quantity,
        sum(cs_wholesale_cost) as cost,
        sum(cs_sales_price) as price
    from catalog_sales
    left join catalog_returns on cr_order_number = cs_order_number and cs_item_sk = cr_item_sk
    join date_dim on cs_sold_date_sk = d_date_sk
    where cr_order_number is null
    group by d_year, cs_item_sk, cs_bill_customer_sk
), ss as (
    select
        d_year as year,
        ss_item_sk as item_sk,
        ss_customer_sk as customer_sk,
        sum(ss_quantity) as quantity,
        sum(ss_wholesale_cost) as cost,
        sum(ss_sales_price) as price
    from store_sales
    left join store_returns on sr_ticket_number = ss_ticket_number and ss_item_sk = sr_item_sk
    join date_dim on ss_sold_date_sk = d_date_sk
    where sr_ticket_number is null
    group by d_year, ss_item_sk, ss_customer_sk
)
select
    ss.year,
    ss.item_sk,
    ss.customer_sk,
    round(cast(ss.quantity as double) / (coalesce(ws.quantity, 0) + coalesce(cs.quantity, 0)), 2) as ratio,
    ss.quantity as store_quantity,
    ss.cost as store_cost,
    ss.price as store_price,
    coalesce(ws.quantity, 0) + coalesce(cs.quantity, 0) as other_quantity,
    coalesce(ws.cost, 0) + coalesce(cs.cost, 0) as other_cost,
    coalesce(ws.price, 0) + coalesce(cs.price, 0) as other_price
from ss
left join ws on ws.year = ss.year and ws.item_sk = ss.item_sk and ws.customer_sk = ss.customer_sk
left join cs on cs.year = ss.year and cs.item_sk = ss.item_sk and cs.customer_sk = ss.customer_sk
where (coalesce(ws.quantity, 0) > 0 or coalesce(cs.quantity, 0) > 0) and ss.year = 2000
order by
    ss.year,
    ss.item_sk,
    ss.customer_sk,
    store_quantity desc,
    store_cost desc,
    store_price desc,
    other_quantity,
    other_cost,
    other_price,
    ratio
limit 100
