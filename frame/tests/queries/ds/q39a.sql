with held as (
    select warehouse_sk, item_sk, month, mean, deviation / nullif(mean, 0) as variation
    from (
        select
            w_warehouse_sk as warehouse_sk,
            i_item_sk as item_sk,
            d_moy as month,
            stddev_samp(inv_quantity_on_hand) as deviation,
            avg(inv_quantity_on_hand) as mean
        from inventory, item, warehouse, date_dim
        where inv_item_sk = i_item_sk
            and inv_warehouse_sk = w_warehouse_sk
            and inv_date_sk = d_date_sk
            and d_year = 2001
        group by w_warehouse_name, w_warehouse_sk, i_item_sk, d_moy
    ) as months
    where case mean when 0 then 0 else deviation / mean end > 1
)
select
    a.warehouse_sk,
    a.item_sk,
    a.month,
    a.mean,
    a.variation,
    b.month as next_month,
    b.mean as next_mean,
    b.variation as next_variation
from held a
join held b on a.item_sk = b.item_sk and a.warehouse_sk = b.warehouse_sk
where a.month = 10 and b.month = 10 + 1
order by a.warehouse_sk, a.item_sk, a.month, a.mean, a.variation, b.month, b.mean, b.variation
