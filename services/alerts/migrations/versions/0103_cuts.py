"""Rows of the ledger that are sealed in a file may be deleted: by the owner's function alone, which
wants a proof made with the ledger's key. docs/decisions/ledger-age.md.
"""

from alembic import op

revision = "0103"
down_revision = "0102"

# `search_path` ends with the temporary schema: nobody slips another table in.
_ADMIT = """
create function admit_cuts(inner_pad bytea, outer_pad bytea) returns boolean
language plpgsql security definer set search_path = %I, pg_temp as $body$
begin
  insert into cut_key (id, inner_pad, outer_pad) values (1, $1, $2) on conflict do nothing;
  return exists (select from cut_key k where k.inner_pad = $1 and k.outer_pad = $2);
end $body$
"""

_CUT = """
create function cut_ledger(
  seal_sequence bigint, seal_hash bytea, first_sequence bigint, last_sequence bigint,
  last_hash bytea, proof bytea, most integer
) returns bigint
language plpgsql security definer set search_path = %I, pg_temp as $body$
declare
  pads cut_key;
  lowest bigint;
  gone bigint;
begin
  select * into pads from cut_key;
  -- Of what is NULL nothing is true, so that nothing of it is proven.
  if not coalesce(octet_length(seal_hash) = 32 and octet_length(last_hash) = 32
    and proof = sha256(pads.outer_pad || sha256(pads.inner_pad
      || int8send(seal_sequence) || seal_hash || int8send(first_sequence)
      || int8send(last_sequence) || last_hash)), false) then
    raise insufficient_privilege using message = 'no proof for this cut of the ledger';
  end if;
  if last_sequence >= seal_sequence or not exists (select from ledger
    where sequence = seal_sequence and hash = seal_hash and reason = 'SEALED'
    and ledger.xmin is distinct from pg_current_xact_id_if_assigned()::xid) then
    raise insufficient_privilege using message = 'the seal of this cut is not committed';
  end if;
  if not exists (select from anchor where sequence >= seal_sequence) then
    raise insufficient_privilege using message = 'the seal of this cut is not anchored';
  end if;
  if exists (select from ledger where sequence < first_sequence and reason <> 'SEALED')
    or exists (select from ledger where sequence = last_sequence and hash <> last_hash) then
    raise insufficient_privilege using message = 'this cut is not the beginning of the ledger';
  end if;
  if exists (select from outbox
    where ledger_sequence <= last_sequence and sent_time is null) then
    raise insufficient_privilege using message = 'a row of this cut waits to be told';
  end if;
  select min(sequence) into lowest from ledger
    where sequence between first_sequence and last_sequence and reason <> 'SEALED';
  delete from ledger where reason <> 'SEALED' and sequence between lowest
    and least(lowest + least(greatest(most, 1), 10000) - 1, last_sequence);
  get diagnostics gone = row_count;
  return gone;
end $body$
"""


def upgrade() -> None:
    op.execute("create index ledger_sealed on ledger (sequence) where reason = 'SEALED'")
    op.execute(
        "create table cut_key (id smallint primary key, inner_pad bytea not null,"
        " outer_pad bytea not null, constraint one_row check (id = 1))"
    )
    for function in (_ADMIT, _CUT):
        _as_of_this_schema(function)
    _as_of_this_schema("revoke all on cut_key from %I")
    for name in ("admit_cuts", "cut_ledger"):
        op.execute(f"revoke all on function {name} from public")
        _as_of_this_schema(f"grant execute on function {name} to %I")


def _as_of_this_schema(statement: str) -> None:
    """The schema, and with it the running role, has the service's name."""
    op.execute(f"do $$ begin execute format($format${statement}$format$, current_schema()); end $$")
