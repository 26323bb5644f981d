with frequent as (
    select item_sk
    from (
        select substr(i_item_desc, 1, 30) as description, i_item_sk as item_sk, d_date, count(*) as cnt
        from store_sales, date_dim, item
        where ss_sold_date_sk = d_date_sk
            and ss_item_sk = i_item_sk
            and d_year in (2001, 2002, 2003, 2004)
        group by substr(i_item_desc, 1, 30), i_item_sk, d_date
        having count(*) > 4
    ) as often
), most as (
    select max(spent) as spent
    from (
        select c_customer_sk, sum(ss_quantity * ss_sales_price) as spent
        from store_sales, customer, date_dim
        where ss_customer_sk = c_customer_sk
            and ss_sold_date_sk = d_date_sk
            and d_year in (2001, 2002, 2003, 2004)
        group by c_customer_sk
    ) as each
), best as (
    select c_customer_sk as customer_sk
    from store_sales, customer
    where ss_customer_sk = c_customer_sk
    group by c_customer_sk
    having sum(ss_quantity * ss_sales_price) > 0.5 * (select spent from most)
)
select c_last_name, c_first_name, sales
from (
    select c_last_name, c_first_name, sum(cs_quantity * cs_list_price) as sales
    from catalog_sales, customer, date_dim
    where d_year = 2001
        and d_moy = 1
        and cs_sold_date_sk = d_date_sk
        and cs_item_sk in (select item_sk from frequent)
        and cs_bill_customer_sk in (select customer_sk from best)
        and cs_bill_customer_sk = c_customer_sk
    group by c_last_name, c_first_name
    union all
    select c_last_name, c_first_name, sum(ws_quantity * ws_list_price)
    from web_sales, customer, date_dim
    where d_year = 2001
        and d_moy = 1
        and ws_sold_date_sk = d_date_sk
        and ws_item_sk in (select item_sk from frequent)
        and ws_bill_customer_sk in (select customer_sk from best)
        and ws_bill_customer_sk = c_customer_sk
    group by c_last_name, c_first_name
) as sold
order by c_last_name, c_first_name, sales
limit 100
