select *
from (
    select
        i_manager_id,
        sum(ss_sales_price) as sales,
        avg(sum(ss_sales_price)) over (partition by i_manager_id) as mean
    from item, store_sales, date_dim, store
    where ss_item_sk = i_item_sk
        and ss_sold_date_sk = d_date_sk
        and ss_store_sk = s_store_sk
        and d_month_seq between 1200 and 1200 + 11
        and (
            (i_category in ('Books', 'Children', 'Electronics')
                and i_class in ('personal', 'portable', 'reference', 'self-help')
                and i_brand in (
                    'scholaramalgamalg #14', 'scholaramalgamalg #7', 'exportiunivamalg #9', 'scholaramalgamalg #9'
                ))
            or (i_category in ('Women', 'Music', 'Men')
                and i_class in ('accessories', 'classical', 'fragrances', 'pants')
                and i_brand in (
                    'amalgimporto #1', 'edu packscholar #1', 'exportiimporto #1', 'importoamalg #1'
                ))
        )
    group by i_manager_id, d_moy
) as months
where case when mean > 0 then abs(sales - mean) / mean end > 0.1
order by i_manager_id, mean, sales
limit 100
