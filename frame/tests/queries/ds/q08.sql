select s_store_name, sum(ss_net_profit) as profit
from store_sales, date_dim, store, (
    select substr(ca_zip, 1, 5) as zip
    from customer_address
    where substr(ca_zip, 1, 5) in (
        '24128', '57834', '13354', '15734', '78668', '76232', '62878', '45375', '63435', '22245',
        '65084', '49130', '40558', '25733', '15798', '87816', '81096', '56458', '35474', '27156',
        '83926', '18840', '28286', '24676', '37930', '77556', '27700', '45266', '94627', '62971',
        '20548', '23470', '47305', '53535', '21337', '26231', '50412', '69399', '17879', '51622'
    )
    intersect
    select zip
    from (
        select substr(ca_zip, 1, 5) as zip, count(*) as cnt
        from customer_address, customer
        where ca_address_sk = c_current_addr_sk and c_preferred_cust_flag = 'Y'
        group by ca_zip
        having count(*) > 10
    ) as preferred
) as zips
where ss_store_sk = s_store_sk
    and ss_sold_date_sk = d_date_sk
    and d_qoy = 2
    and d_year = 1998
    and substr(s_zip, 1, 2) = substr(zips.zip, 1, 2)
group by s_store_name
order by s_store_name
limit 100
