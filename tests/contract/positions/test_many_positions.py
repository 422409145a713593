"""A hundred thousand positions: imported, enriched and read without an object a row."""

import json

import numpy as np
import pytest
from sonic.positions.v1 import positions_pb2 as pb

from shared import columns

_ROWS = 100_000


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_a_hundred_thousand_positions_are_imported_enriched_and_read(servers) -> None:
    draw = np.random.default_rng(1)
    entries = draw.uniform(10, 100, _ROWS).round(4)
    sides = np.where(draw.random(_ROWS) < 0.5, 1, -1)
    lines = [
        "id,asset,side,entry_price_usd,liquidation_price_usd,mark_price_usd,size_usd,collateral_usd"
    ]
    lines += [
        f"p{row},{'BTC' if row % 3 else 'ETH'},{'LONG' if side > 0 else 'SHORT'},"
        f"{entry},{entry * (1 - side * 0.2)},{entry * (1 - side * 0.1)},1000,100"
        for row, (entry, side) in enumerate(zip(entries.tolist(), sides.tolist(), strict=True))
    ]
    taken = await servers.positions.ImportPositions(
        pb.ImportPositionsRequest(format=pb.FILE_FORMAT_CSV, content="\n".join(lines).encode()),
        timeout=60,
    )
    assert (taken.created_count, taken.refused_count) == (_ROWS, 0)
    done = await servers.positions.EnrichPositions(
        pb.EnrichPositionsRequest(cycle_id="c1", epoch=1), timeout=60
    )
    assert (done.enriched_count, done.absent_count) == (_ROWS, 0)
    assert done.totals.avg_travel_percent == pytest.approx(-50.0)
    assert done.totals.total_size_usd == 1000.0 * _ROWS
    parts = [
        part
        async for part in servers.columns.ReadColumns(
            pb.ReadColumnsRequest(columns=["travel_percent", "side_sign"])
        )
    ]
    decoded = [columns.decode(part) for part in parts]
    assert len(parts) == -(-_ROWS // columns.ROWS_PER_MESSAGE) and parts[0].total_count == _ROWS
    assert np.allclose(np.concatenate([part["travel_percent"] for part in decoded]), -50.0)
    assert (np.concatenate([part["side_sign"] for part in decoded]) == sides).all()
    assert (np.diff(np.concatenate([part["position_key"] for part in decoded])) > 0).all()
    again = await servers.positions.ImportPositions(
        pb.ImportPositionsRequest(
            format=pb.FILE_FORMAT_JSON,
            content=json.dumps(
                [
                    {
                        "id": "p0",
                        "asset": "BTC",
                        "side": "LONG",
                        "entry_price_usd": 10,
                        "size_usd": 5,
                        "collateral_usd": 1,
                    }
                ]
            ).encode(),
        )
    )
    assert (again.created_count, again.updated_count) == (0, 1)
