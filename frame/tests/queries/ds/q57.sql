with monthly as (
    select
        i_category,
        i_brand,
        cc_name,
        d_year,
        d_moy,
        sum(cs_sales_price) as sales,
        avg(sum(cs_sales_price)) over (partition by i_category, i_brand, cc_name, d_year) as mean,
        rank() over (partition by i_category, i_brand, cc_name order by d_year, d_moy) as place
    from item, catalog_sales, date_dim, call_center
    where cs_item_sk = i_item_sk
        and cs_sold_date_sk = d_date_sk
        and cc_call_center_sk = cs_call_center_sk
        and (
            d_year = 1999
            or (d_year = 1999 - 1 and d_moy = 12)
            or (d_year = 1999 + 1 and d_moy = 1)
        )
    group by i_category, i_brand, cc_name, d_year, d_moy
), beside as (
    select
        m.i_category,
        m.i_brand,
        m.cc_name,
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
        and m.cc_name = before.cc_name
        and m.cc_name = after.cc_name
        and m.place = before.place + 1
        and m.place = after.place - 1
)
select *
from beside
where d_year = 1999 and mean > 0 and case when mean > 0 then abs(sales - mean) / mean end > 0.1
order by sales - mean, cc_name, i_category, i_brand, d_moy
limit 100
