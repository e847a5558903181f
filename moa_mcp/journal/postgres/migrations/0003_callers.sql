-- Books seconds of the rate of an account, unless more than most_s would then be booked; returns for how many seconds
-- from now it was booked before.
CREATE FUNCTION moa.take(name TEXT, cost_s FLOAT8, most_s FLOAT8) RETURNS FLOAT8 LANGUAGE plpgsql AS $$
DECLARE
    booked_s FLOAT8;
BEGIN
    INSERT INTO moa.rates AS r VALUES(name, 0, 0)
        ON CONFLICT(account) DO UPDATE SET requests_until = r.requests_until
        RETURNING greatest(0, r.requests_until - moa.now()) INTO booked_s;
    IF booked_s + cost_s <= most_s THEN
        UPDATE moa.rates SET requests_until = moa.now() + booked_s + cost_s WHERE account = name;
    END IF;
    RETURN booked_s;
END
$$;

-- As before, but an account that is deleted meanwhile, because nothing is booked, is added again.
CREATE OR REPLACE FUNCTION moa.book(accounts TEXT[], requests FLOAT8[], tokens FLOAT8[])
RETURNS TABLE(account TEXT, requests_s FLOAT8, tokens_s FLOAT8) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    FOR i IN 1 .. cardinality(accounts) LOOP
        account := accounts[i];
        INSERT INTO moa.rates AS r VALUES(accounts[i], 0, 0)
            ON CONFLICT(account) DO UPDATE SET requests_until = r.requests_until
            RETURNING greatest(0, r.requests_until - moa.now()), greatest(0, r.tokens_until - moa.now())
            INTO requests_s, tokens_s;
        UPDATE moa.rates r
            SET requests_until = moa.now() + requests_s + requests[i], tokens_until = moa.now() + tokens_s + tokens[i]
            WHERE r.account = accounts[i];
        RETURN NEXT;
    END LOOP;
END
$$;
