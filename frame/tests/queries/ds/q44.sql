with means as (
    select ss_item_sk as item_sk, avg(ss_net_profit) as mean
    from store_sales
    where ss_store_sk = 1
    group by ss_item_sk
    having avg(ss_net_profit) > 0.9 * (
        select avg(ss_net_profit)
        from store_sales
        where ss_store_sk = 1 and ss_addr_sk is null
        group by ss_store_sk
    )
), worst as (
    select item_sk, place
    from (select item_sk, rank() over (order by mean) as place from means) as placed
    where place < 11
), best as (
    select item_sk, place
    from (select item_sk, rank() over (order by mean desc) as place from means) as placed
    where place < 11
)
select worst.place, i1.i_product_name as best_performing, i2.i_product_name as worst_performing
from worst, best, item i1, item i2
where worst.place = best.place and i1.i_item_sk = worst.item_sk and i2.i_item_sk = best.item_sk
order by worst.place, best_performing, worst_performing
limit 100
