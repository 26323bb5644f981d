with sold as (
    select d_year, i_brand_id, i_class_id, i_category_id, i_manufact_id, sum(cnt) as cnt, sum(amt) as amt
    from (
        select
            d_year,
            i_brand_id,
            i_class_id,
            i_category_id,
            i_manufact_id,
            cs_quantity - coalesce(cr_return_quantity, 0) as cnt,
            cs_ext_sales_price - coalesce(cr_return_amount, 0.0) as amt
        from catalog_sales
        join item on i_item_sk = cs_item_sk
        join date_dim on d_date_sk = cs_sold_date_sk
        left join catalog_returns on cs_order_number = cr_order_number and cs_item_sk = cr_item_sk
        where i_category = 'Books'
        union
        select
            d_year,
            i_brand_id,
            i_class_id,
            i_category_id,
            i_manufact_id,
            ss_quantity - coalesce(sr_return_quantity, 0),
            ss_ext_sales_price - coalesce(sr_return_amt, 0.0)
        from store_sales
        join item on i_item_sk = ss_item_sk
        join date_dim on d_date_sk = ss_sold_date_sk
        left join store_returns on ss_ticket_number = sr_ticket_number and ss_item_sk = sr_item_sk
        where i_category = 'Books'
        union
        select
            d_year,
            i_brand_id,
            i_class_id,
            i_category_id,
            i_manufact_id,
            ws_quantity - coalesce(wr_return_quantity, 0),
            ws_ext_sales_price - coalesce(wr_return_amt, 0.0)
        from web_sales
        join item on i_item_sk = ws_item_sk
        join date_dim on d_date_sk = ws_sold_date_sk
        left join web_returns on ws_order_number = wr_order_number and ws_item_sk = wr_item_sk
        where i_category = 'Books'
    ) as channels
    group by d_year, i_brand_id, i_class_id, i_category_id, i_manufact_id
)
select
    last.d_year as last_year,
    this.d_year as this_year,
    this.i_brand_id,
    this.i_class_id,
    this.i_category_id,
    this.i_manufact_id,
    last.cnt as last_cnt,
    this.cnt as this_cnt,
    this.cnt - last.cnt as cnt_diff,
    this.amt - last.amt as amt_diff
from sold this, sold last
where this.i_brand_id = last.i_brand_id
    and this.i_class_id = last.i_class_id
    and this.i_category_id = last.i_category_id
    and this.i_manufact_id = last.i_manufact_id
    and this.d_year = 2002
    and last.d_year = 2002 - 1
    and cast(this.cnt as decimal(17, 2)) / cast(last.cnt as decimal(17, 2)) < 0.9
order by cnt_diff, amt_diff, this.i_brand_id, this.i_class_id, this.i_category_id, this.i_manufact_id
limit 100
