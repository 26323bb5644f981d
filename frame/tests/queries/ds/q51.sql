with by_web as (
    select
        ws_item_sk as item_sk,
        d_date,
        sum(sum(ws_sales_price)) over (
            partition by ws_item_sk order by d_date rows between unbounded preceding and current row
        ) as running
    from web_sales, date_dim
    where ws_sold_date_sk = d_date_sk and d_month_seq between 1200 and 1200 + 11 and ws_item_sk is not null
    group by ws_item_sk, d_date
), by_store as (
    select
        ss_item_sk as item_sk,
        d_date,
        sum(sum(ss_sales_price)) over (
            partition by ss_item_sk order by d_date rows between unbounded preceding and current row
        ) as running
    from store_sales, date_dim
    where ss_sold_date_sk = d_date_sk and d_month_seq between 1200 and 1200 + 11 and ss_item_sk is not null
    group by ss_item_sk, d_date
)
select *
from (
    select
        item_sk,
        d_date,
        web_sales,
        store_sales,
        max(web_sales) over (
            partition by item_sk order by d_date rows between unbounded preceding and current row
        ) as web_so_far,
        max(store_sales) over (
            partition by item_sk order by d_date rows between unbounded preceding and current row
        ) as store_so_far
    from (
        select
            case when by_web.item_sk is not null then by_web.item_sk else by_store.item_sk end as item_sk,
            case when by_web.d_date is not null then by_web.d_date else by_store.d_date end as d_date,
            by_web.running as web_sales,
            by_store.running as store_sales
        from by_web
        full join by_store on by_web.item_sk = by_store.item_sk and by_web.d_date = by_store.d_date
    ) as both_ways
) as so_far
where web_so_far > store_so_far
order by item_sk, d_date
limit 100
