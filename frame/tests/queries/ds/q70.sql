select *
from (
    select
        sum(ss_net_profit) as total,
        s_state,
        s_county,
        grouping(s_state) + grouping(s_county) as level,
        rank() over (
            partition by
                grouping(s_state) + grouping(s_county),
                case when grouping(s_county) = 0 then s_state end
            order by sum(ss_net_profit) desc
        ) as rank_within_parent
    from store_sales, date_dim, store
    where d_month_seq between 1200 and 1200 + 11
        and d_date_sk = ss_sold_date_sk
        and s_store_sk = ss_store_sk
        and s_state in (
            select state
            from (
                select
                    s_state as state,
                    rank() over (partition by s_state order by sum(ss_net_profit) desc) as place
                from store_sales, store, date_dim
                where d_month_seq between 1200 and 1200 + 11
                    and d_date_sk = ss_sold_date_sk
                    and s_store_sk = ss_store_sk
                group by s_state
            ) as states
            where place <= 5
        )
    group by rollup (s_state, s_county)
) as profits
order by level desc, case when level = 0 then s_state end, rank_within_parent
limit 100
