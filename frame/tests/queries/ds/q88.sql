select *
from (
    select count(*) as from_8_30
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 8
        and t_minute >= 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h8_30, (
    select count(*) as from_9_00
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 9
        and t_minute < 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h9_00, (
    select count(*) as from_9_30
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 9
        and t_minute >= 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h9_30, (
    select count(*) as from_10_00
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 10
        and t_minute < 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h10_00, (
    select count(*) as from_10_30
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 10
        and t_minute >= 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h10_30, (
    select count(*) as from_11_00
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 11
        and t_minute < 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h11_00, (
    select count(*) as from_11_30
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 11
        and t_minute >= 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h11_30, (
    select count(*) as from_12_00
    from store_sales, household_demographics, time_dim, store
    where ss_sold_time_sk = t_time_sk
        and ss_hdemo_sk = hd_demo_sk
        and ss_store_sk = s_store_sk
        and t_hour = 12
        and t_minute < 30
        and (
            (hd_dep_count = 4 and hd_vehicle_count <= 4 + 2)
            or (hd_dep_count = 2 and hd_vehicle_count <= 2 + 2)
            or (hd_dep_count = 0 and hd_vehicle_count <= 0 + 2)
        )
        and s_store_name = 'ought'
) as h12_00
