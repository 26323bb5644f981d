select
    count(distinct cs_order_number) as n_orders,
    sum(cs_ext_ship_cost) as shipping_cost,
    sum(cs_net_profit) as net_profit
from catalog_sales one, date_dim, customer_address, call_center
where d_date between date '2002-02-01' and date '2002-02-01' + interval '60' day
    and one.cs_ship_date_sk = d_date_sk
    and one.cs_ship_addr_sk = ca_address_sk
    and ca_state = 'GA'
    and one.cs_call_center_sk = cc_call_center_sk
    and cc_county in ('Williamson County')
    and exists (
        select *
        from catalog_sales two
        where one.cs_order_number = two.cs_order_number and one.cs_warehouse_sk <> two.cs_warehouse_sk
    )
    and not exists (select * from catalog_returns where one.cs_order_number = cr_order_number)
order by n_orders
limit 100
