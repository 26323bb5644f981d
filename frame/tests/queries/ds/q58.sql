with by_store as (
    select i_item_id as id, sum(ss_ext_sales_price) as revenue
    from store_sales, item, date_dim
    where ss_item_sk = i_item_sk
        and d_date in (
            select d_date
            from date_dim
            where d_week_seq = (select d_week_seq from date_dim where d_date = date '2000-12-11')
        )
        and ss_sold_date_sk = d_date_sk
    group by i_item_id
), by_catalog as (
    select i_item_id as id, sum(cs_ext_sales_price) as revenue
    from catalog_sales, item, date_dim
    where cs_item_sk = i_item_sk
        and d_date in (
            select d_date
            from date_dim
            where d_week_seq = (select d_week_seq from date_dim where d_date = date '2000-12-11')
        )
        and cs_sold_date_sk = d_date_sk
    group by i_item_id
), by_web as (
    select i_item_id as id, sum(ws_ext_sales_price) as revenue
    from web_sales, item, date_dim
    where ws_item_sk = i_item_sk
        and d_date in (
            select d_date
            from date_dim
            where d_week_seq = (select d_week_seq from date_dim where d_date = date '2000-12-11')
        )
        and ws_sold_date_sk = d_date_sk
    group by i_item_id
)
select
    s.id,
    s.revenue as store_revenue,
    s.revenue / ((s.revenue + c.revenue + w.revenue) / 3) * 100 as store_part,
    c.revenue as catalog_revenue,
    c.revenue / ((s.revenue + c.revenue + w.revenue) / 3) * 100 as catalog_part,
    w.revenue as web_revenue,
    w.revenue / ((s.revenue + c.revenue + w.revenue) / 3) * 100 as web_part,
    (s.revenue + c.revenue + w.revenue) / 3 as mean
from by_store s, by_catalog c, by_web w
where s.id = c.id
    and s.id = w.id
    and s.revenue between 0.9 * c.revenue and 1.1 * c.revenue
    and s.revenue between 0.9 * w.revenue and 1.1 * w.revenue
    and c.revenue between 0.9 * s.revenue and 1.1 * s.revenue
    and c.revenue between 0.9 * w.revenue and 1.1 * w.revenue
    and w.revenue between 0.9 * s.revenue and 1.1 * s.revenue
    and w.revenue between 0.9 * c.revenue and 1.1 * c.revenue
order by s.id, store_revenue
limit 100
