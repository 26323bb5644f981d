with by_store as (
    select ca_county as county, d_qoy as quarter, d_year as year, sum(ss_ext_sales_price) as sales
    from store_sales, date_dim, customer_address
    where ss_sold_date_sk = d_date_sk and ss_addr_sk = ca_address_sk
    group by ca_county, d_qoy, d_year
), by_web as (
    select ca_county as county, d_qoy as quarter, d_year as year, sum(ws_ext_sales_price) as sales
    from web_sales, date_dim, customer_address
    where ws_sold_date_sk = d_date_sk and ws_bill_addr_sk = ca_address_sk
    group by ca_county, d_qoy, d_year
)
select
    s1.county,
    s1.year,
    w2.sales / w1.sales as web_first_growth,
    s2.sales / s1.sales as store_first_growth,
    w3.sales / w2.sales as web_second_growth,
    s3.sales / s2.sales as store_second_growth
from by_store s1, by_store s2, by_store s3, by_web w1, by_web w2, by_web w3
where s1.quarter = 1
    and s1.year = 2000
    and s2.county = s1.county and s2.quarter = 2 and s2.year = 2000
    and s3.county = s1.county and s3.quarter = 3 and s3.year = 2000
    and w1.county = s1.county and w1.quarter = 1 and w1.year = 2000
    and w2.county = s1.county and w2.quarter = 2 and w2.year = 2000
    and w3.county = s1.county and w3.quarter = 3 and w3.year = 2000
    and case when w1.sales > 0 then w2.sales / w1.sales end
        > case when s1.sales > 0 then s2.sales / s1.sales end
    and case when w2.sales > 0 then w3.sales / w2.sales end
        > case when s2.sales > 0 then s3.sales / s2.sales end
order by s1.county
