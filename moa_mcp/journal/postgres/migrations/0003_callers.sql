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

-- What the runs of each caller have committed on a day. Lines are for all runs, or for those of a caller.
CREATE TABLE moa.caller_days(
    day DATE NOT NULL,
    caller TEXT COLLATE "C" NOT NULL,
    nanodollars BIGINT NOT NULL,
    PRIMARY KEY(day, caller)
) WITH (fillfactor = 10);
LOCK TABLE moa.days IN EXCLUSIVE MODE;
INSERT INTO moa.caller_days SELECT day, caller, sum(nanodollars) FROM moa.spending JOIN moa.runs USING(run_id)
    WHERE caller <> '' GROUP BY day, caller;
ALTER TABLE moa.spending_line ADD COLUMN caller TEXT COLLATE "C" NOT NULL DEFAULT '';

DROP FUNCTION moa.commit_spending(TEXT[], TEXT[], DATE[], BIGINT[], BIGINT[], BIGINT[], BOOLEAN[]);
DROP FUNCTION moa.is_behind(TEXT);

-- Whether another run with a live owner waits before this one in the line of a caller, or in that of all if it is
-- empty. Places of others are deleted.
CREATE FUNCTION moa.is_behind(run TEXT, whose TEXT) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    first TEXT;
BEGIN
    DELETE FROM moa.spending_line l WHERE NOT EXISTS (
        SELECT 1 FROM moa.runs r WHERE r.run_id = l.run_id AND r.owner = l.owner AND r.status = 'running'
            AND r.lease_until > moa.now());
    SELECT run_id INTO first FROM moa.spending_line l WHERE l.caller = whose ORDER BY place LIMIT 1;
    RETURN first IS NOT NULL AND first <> run;
END
$$;

-- Sets what runs have committed on days, in this order; a null day is today, a null cap is none.
CREATE FUNCTION moa.commit_spending(
    runs TEXT[], owners TEXT[], days DATE[], amounts BIGINT[], caps BIGINT[], caller_caps BIGINT[], helds BIGINT[],
    in_turn BOOLEAN[])
RETURNS TABLE(accepted BOOLEAN, on_day DATE, total BIGINT, held_by_others BIGINT, spent BIGINT, by_caller BOOLEAN)
LANGUAGE plpgsql AS $$
DECLARE
    whose TEXT;
    line TEXT;
    more BIGINT;
    of_all BIGINT;
    of_caller BIGINT;
    today DATE := moa.today();
BEGIN
    FOR on_day IN SELECT DISTINCT coalesce(d, today) FROM unnest(days) AS d ORDER BY 1 LOOP
        INSERT INTO moa.days VALUES(on_day, 0) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM moa.days WHERE day = on_day FOR UPDATE;
    END LOOP;
    FOR i IN 1 .. cardinality(runs) LOOP
        on_day := coalesce(days[i], today);
        SELECT coalesce(max(r.caller), '') INTO whose FROM moa.runs r WHERE r.run_id = runs[i];
        SELECT amounts[i] - coalesce(max(s.nanodollars), 0), coalesce(max(s.nanodollars - s.held), 0) INTO more, spent
            FROM moa.spending s WHERE s.day = on_day AND s.run_id = runs[i];
        SELECT d.nanodollars INTO of_all FROM moa.days d WHERE d.day = on_day;
        SELECT coalesce(max(c.nanodollars), 0) INTO of_caller
            FROM moa.caller_days c WHERE c.day = on_day AND c.caller = whose;
        by_caller := more > 0 AND whose <> '' AND caller_caps[i] IS NOT NULL AND (
            of_caller + more > caller_caps[i] OR (in_turn[i] AND moa.is_behind(runs[i], whose)));
        accepted := more <= 0 OR NOT by_caller AND (
            caps[i] IS NULL OR (of_all + more <= caps[i] AND NOT (in_turn[i] AND moa.is_behind(runs[i], ''))));
        IF accepted THEN
            INSERT INTO moa.spending VALUES(on_day, runs[i], amounts[i], helds[i]) ON CONFLICT(day, run_id)
                DO UPDATE SET nanodollars = excluded.nanodollars, held = excluded.held;
            of_all := of_all + more;
            UPDATE moa.days SET nanodollars = of_all WHERE day = on_day;
            IF whose <> '' AND more <> 0 THEN
                INSERT INTO moa.caller_days VALUES(on_day, whose, of_caller + more) ON CONFLICT(day, caller)
                    DO UPDATE SET nanodollars = excluded.nanodollars;
            END IF;
            DELETE FROM moa.spending_line WHERE run_id = runs[i];
        ELSIF in_turn[i] AND owners[i] IS NOT NULL THEN
            line := CASE WHEN by_caller THEN whose ELSE '' END;
            DELETE FROM moa.spending_line l WHERE l.run_id = runs[i] AND l.caller <> line;
            INSERT INTO moa.spending_line(run_id, owner, caller) VALUES(runs[i], owners[i], line) ON CONFLICT(run_id)
                DO UPDATE SET owner = excluded.owner;
        END IF;
        total := CASE WHEN by_caller THEN of_caller ELSE of_all END;
        SELECT coalesce(sum(s.held), 0) INTO held_by_others
            FROM moa.spending s JOIN moa.runs r ON r.run_id = s.run_id
            WHERE s.day = on_day AND s.held > 0 AND s.run_id <> runs[i] AND (NOT by_caller OR r.caller = whose)
                AND r.status = 'running' AND r.owner IS NOT NULL AND r.lease_until > moa.now();
        RETURN NEXT;
    END LOOP;
END
$$;
