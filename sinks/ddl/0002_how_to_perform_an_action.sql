-- Version 2 of ActionRequested: by which way and until when to perform it, and who must agree.
-- Rows of version 1 read as the defaults of the contract, a time of 0 as the start of 1970.

ALTER TABLE actions
    ADD COLUMN IF NOT EXISTS channel            LowCardinality(String) AFTER cause_id,
    ADD COLUMN IF NOT EXISTS sender             LowCardinality(String) AFTER channel,
    ADD COLUMN IF NOT EXISTS purpose            LowCardinality(String) AFTER sender,
    ADD COLUMN IF NOT EXISTS needs_confirmation Bool AFTER purpose,
    ADD COLUMN IF NOT EXISTS requested_at       DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) AFTER needs_confirmation,
    ADD COLUMN IF NOT EXISTS expires_at         DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)) AFTER requested_at;
