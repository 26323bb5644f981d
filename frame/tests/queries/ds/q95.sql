with split_orders as (
    select one.ws_order_number as number
    from web_sales one, web_sales two
    where one.ws_order_number = two.ws_order_number and one.ws_warehouse_sk <> two.ws_warehouse_sk
)
select
    count(distinct ws_order_number) as n_orders,
    sum(ws_ext_ship_cost) as shipping_cost,
    sum(ws_net_profit) as net_profit
from web_sales, date_dim, customer_address, web_site
where d_date between date '1999-02-01' and date '1999-02-01' + interval '60' day
    and ws_ship_date_sk = d_date_sk
    and ws_ship_addr_sk = ca_address_sk
    and ca_state = 'IL'
    and ws_web_site_sk = web_site_sk
    and web_company_name = 'pri'
    and ws_order_number in (select number from split_orders)
    and ws_order_number in (
        select wr_order_number from web_returns, split_orders where wr_order_number = number
    )
order by n_orders
limit 100
