with everywhere as (
    select i_item_sk as item_sk
    from item, (
        select i_brand_id as brand_id, i_class_id as class_id, i_category_id as category_id
        from store_sales, item, date_dim
        where ss_item_sk = i_item_sk and ss_sold_date_sk = d_date_sk and d_year between 1999 and 2001
        intersect
        select i_brand_id, i_class_id, i_category_id
        from catalog_sales, item, date_dim
        where cs_item_sk = i_item_sk and cs_sold_date_sk = d_date_sk and d_year between 1999 and 2001
        intersect
        select i_brand_id, i_class_id, i_category_id
        from web_sales, item, date_dim
        where ws_item_sk = i_item_sk and ws_sold_date_sk = d_date_sk and d_year between 1999 and 2001
    ) as kinds
    where i_brand_id = brand_id and i_class_id = class_id and i_category_id = category_id
), mean as (
    select avg(quantity * list_price) as sales
    from (
        select ss_quantity as quantity, ss_list_price as list_price
        from store_sales, date_dim
        where ss_sold_date_sk = d_date_sk and d_year between 1999 and 2001
        union all
        select cs_quantity, cs_list_price
        from catalog_sales, date_dim
        where cs_sold_date_sk = d_date_sk and d_year between 1999 and 2001
        union all
        select ws_quantity, ws_list_price
        from web_sales, date_dim
        where ws_sold_date_sk = d_date_sk and d_year between 1999 and 2001
    ) as sold
), weekly as (
    select
        d_year as year,
        i_brand_id as brand_id,
        i_class_id as class_id,
        i_category_id as category_id,
        sum(ss_quantity * ss_list_price) as sales,
        count(*) as number
    from store_sales, item, date_dim
    where ss_item_sk in (select item_sk from everywhere)
        and ss_item_sk = i_item_sk
        and ss_sold_date_sk = d_date_sk
        and d_week_seq in (
            select d_week_seq from date_dim where d_year in (1999, 2000) and d_moy = 12 and d_dom = 11
        )
    group by d_year, i_brand_id, i_class_id, i_category_id
    having sum(ss_quantity * ss_list_price) > (select sales from mean)
)
select
    'store' as channel,
    this.brand_id,
    this.class_id,
    this.category_id,
    this.year as this_year,
    this.sales as this_sales,
    this.number as this_number,
    last.year as last_year,
    last.sales as last_sales,
    last.number as last_number
from weekly this
join weekly last
    on this.brand_id = last.brand_id and this.class_id = last.class_id and this.category_id = last.category_id
where this.year = 2000 and last.year = 1999
order by this.brand_id, this.class_id, this.category_id
limit 100
