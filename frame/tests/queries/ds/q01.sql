with returned as (
    select sr_customer_sk as customer_sk, sr_store_sk as store_sk, sum(sr_return_amt) as total
    from store_returns
    join date_dim on sr_returned_date_sk = d_date_sk
    where d_year = 2000
    group by sr_customer_sk, sr_store_sk
)
select c_customer_id
from returned r, store, customer
where r.total > (select avg(total) * 1.2 from returned others where others.store_sk = r.store_sk)
    and s_store_sk = r.store_sk
    and s_state = 'TN'
    and c_customer_sk = r.customer_sk
order by c_customer_id
limit 100
