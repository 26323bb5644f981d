select cast(morning as decimal(15, 4)) / cast(evening as decimal(15, 4)) as ratio
from (
    select count(*) as morning
    from web_sales, household_demographics, time_dim, web_page
    where ws_sold_time_sk = t_time_sk
        and ws_ship_hdemo_sk = hd_demo_sk
        and ws_web_page_sk = wp_web_page_sk
        and t_hour between 8 and 8 + 1
        and hd_dep_count = 6
        and wp_char_count between 2400 and 2600
) as am, (
    select count(*) as evening
    from web_sales, household_demographics, time_dim, web_page
    where ws_sold_time_sk = t_time_sk
        and ws_ship_hdemo_sk = hd_demo_sk
        and ws_web_page_sk = wp_web_page_sk
        and t_hour between 19 and 19 + 1
        and hd_dep_count = 6
        and wp_char_count between 2400 and 2600
) as pm
order by ratio
limit 100
