-- Until when the rate of each account is booked: its requests and its tokens.
CREATE TABLE moa.rates(
    account TEXT COLLATE "C" PRIMARY KEY,
    requests_until FLOAT8 NOT NULL,
    tokens_until FLOAT8 NOT NULL
) WITH (fillfactor = 10);

-- Books seconds of the rates of accounts; returns for how many seconds from now each was booked before.
CREATE FUNCTION moa.book(accounts TEXT[], requests FLOAT8[], tokens FLOAT8[])
RETURNS TABLE(account TEXT, requests_s FLOAT8, tokens_s FLOAT8) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(accounts) LOOP
        account := accounts[i];
        INSERT INTO moa.rates AS r VALUES(account, 0, 0) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM moa.rates r WHERE r.account = accounts[i] FOR UPDATE;
        SELECT greatest(0, r.requests_until - moa.now()), greatest(0, r.tokens_until - moa.now())
            INTO requests_s, tokens_s FROM moa.rates r WHERE r.account = accounts[i];
        UPDATE moa.rates r
            SET requests_until = moa.now() + requests_s + requests[i], tokens_until = moa.now() + tokens_s + tokens[i]
            WHERE r.account = accounts[i];
        RETURN NEXT;
    END LOOP;
END
$$;
