with monthly as (
    select
        i_category,
        i_brand,
        s_store_name,
        s_company_name,
        d_year,
        d_moy,
        sum(ss_sales_price) as sales,
        avg(sum(ss_sales_price)) over (
            partition by i_category, i_brand, s_store_name, s_company_name, d_year
        ) as mean,
        rank() over (
            partition by i_category, i_brand, s_store_name, s_company_name order by d_year, d_moy
        ) as place
    from item, store_sales, date_dim, store
    where ss_item_sk = i_item_sk
        and ss_sold_date_sk = d_date_sk
        and ss_store_sk = s_store_sk
        and (
            d_year = 1999
            or (d_year = 1999 - 1 and d_moy = 12)
            or (d_year = 1999 + 1 and d_moy = 1)
        )
    group by i_category, i_brand, s_store_name, s_company_name, d_year, d_moy
), beside as (
    select
        m.i_category,
        m.i_brand,
        m.s_store_name,
        m.s_company_name,
        m.d_year,
        m.d_moy,
        m.mean,
        m.sales,
        before.sales as before,
        after.sales as after
    from monthly m, monthly before, monthly after
    where m.i_category = before.i_category
        and m.i_category = after.i_category
        and m.i_brand = before.i_brand
        and m.i_brand = after.i_brand
        and m.s_store_name = before.s_store_name
        and m.s_store_name = after.s_store_name
        and m.s_company_name = before.s_company_name
        and m.s_company_name = after.s_company_name
        and m.place = before.place + 1
        and m.place = after.place - 1
)
select *
from beside
where d_year = 1999 and mean > 0 and case when mean > 0 then abs(sales - mean) / mean end > 0.1
order by sales - mean, s_store_name, i_category, i_brand, d_moy
limit 100
