select *
from (
    select avg(ss_list_price) as mean1, count(ss_list_price) as n1, count(distinct ss_list_price) as n_prices1
    from store_sales
    where ss_quantity between 0 and 5
        and (ss_list_price between 8 and 8 + 10
            or ss_coupon_amt between 459 and 459 + 1000
            or ss_wholesale_cost between 57 and 57 + 20)
) as b1, (
    select avg(ss_list_price) as mean2, count(ss_list_price) as n2, count(distinct ss_list_price) as n_prices2
    from store_sales
    where ss_quantity between 6 and 10
        and (ss_list_price between 90 and 90 + 10
            or ss_coupon_amt between 2323 and 2323 + 1000
            or ss_wholesale_cost between 31 and 31 + 20)
) as b2, (
    select avg(ss_list_price) as mean3, count(ss_list_price) as n3, count(distinct ss_list_price) as n_prices3
    from store_sales
    where ss_quantity between 11 and 15
        and (ss_list_price between 142 and 142 + 10
            or ss_coupon_amt between 12214 and 12214 + 1000
            or ss_wholesale_cost between 79 and 79 + 20)
) as b3, (
    select avg(ss_list_price) as mean4, count(ss_list_price) as n4, count(distinct ss_list_price) as n_prices4
    from store_sales
    where ss_quantity between 16 and 20
        and (ss_list_price between 135 and 135 + 10
            or ss_coupon_amt between 6071 and 6071 + 1000
            or ss_wholesale_cost between 38 and 38 + 20)
) as b4, (
    select avg(ss_list_price) as mean5, count(ss_list_price) as n5, count(distinct ss_list_price) as n_prices5
    from store_sales
    where ss_quantity between 21 and 25
        and (ss_list_price between 122 and 122 + 10
            or ss_coupon_amt between 836 and 836 + 1000
            or ss_wholesale_cost between 17 and 17 + 20)
) as b5, (
    select avg(ss_list_price) as mean6, count(ss_list_price) as n6, count(distinct ss_list_price) as n_prices6
    from store_sales
    where ss_quantity between 26 and 30
        and (ss_list_price between 154 and 154 + 10
            or ss_coupon_amt between 7326 and 7326 + 1000
            or ss_wholesale_cost between 7 and 7 + 20)
) as b6
limit 100
