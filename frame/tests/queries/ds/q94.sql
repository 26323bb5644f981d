select
    count(distinct ws_order_number) as n_orders,
    sum(ws_ext_ship_cost) as shipping_cost,
    sum(ws_net_profit) as net_profit
from web_sales one, date_dim, customer_address, web_site
where d_date between date '1999-02-01' and date '1999-02-01' + interval '60' day
    and one.ws_ship_date_sk = d_date_sk
    and one.ws_ship_addr_sk = ca_address_sk
    and ca_state = 'IL'
    and one.ws_web_site_sk = web_site_sk
    and web_company_name = 'pri'
    and exists (
        select *
        from web_sales two
        where one.ws_order_number = two.ws_order_number and one.ws_warehouse_sk <> two.ws_warehouse_sk
    )
    and not exists (select * from web_returns where one.ws_order_number = wr_order_number)
order by n_orders
limit 100
