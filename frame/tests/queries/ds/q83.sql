with by_store as (
    select i_item_id as id, sum(sr_return_quantity) as quantity
    from store_returns, item, date_dim
    where sr_item_sk = i_item_sk
        and d_date in (
            select d_date
            from date_dim
            where d_week_seq in (
                select d_week_seq
                from date_dim
                where d_date in (date '1999-04-19', date '2001-04-16', date '2001-05-07')
            )
        )
        and sr_returned_date_sk = d_date_sk
    group by i_item_id
), by_catalog as (
    select i_item_id as id, sum(cr_return_quantity) as quantity
    from catalog_returns, item, date_dim
    where cr_item_sk = i_item_sk
        and d_date in (
            select d_date
            from date_dim
            where d_week_seq in (
                select d_week_seq
                from date_dim
                where d_date in (date '1999-04-19', date '2001-04-16', date '2001-05-07')
            )
        )
        and cr_returned_date_sk = d_date_sk
    group by i_item_id
), by_web as (
    select i_item_id as id, sum(wr_return_quantity) as quantity
    from web_returns, item, date_dim
    where wr_item_sk = i_item_sk
        and d_date in (
            select d_date
            from date_dim
            where d_week_seq in (
                select d_week_seq
                from date_dim
                where d_date in (date '1999-04-19', date '2001-04-16', date '2001-05-07')
            )
        )
        and wr_returned_date_sk = d_date_sk
    group by i_item_id
)
select
    s.id,
    s.quantity as store_quantity,
    s.quantity * 100.0 / (s.quantity + c.quantity + w.quantity) / 3.0 as store_part,
    c.quantity as catalog_quantity,
    c.quantity * 100.0 / (s.quantity + c.quantity + w.quantity) / 3.0 as catalog_part,
    w.quantity as web_quantity,
    w.quantity * 100.0 / (s.quantity + c.quantity + w.quantity) / 3.0 as web_part,
    (s.quantity + c.quantity + w.quantity) / 3.0 as mean
from by_store s, by_catalog c, by_web w
where s.id = c.id and s.id = w.id
order by s.id, store_quantity
limit 100
