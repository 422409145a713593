"""Puts the price service together. The only file that reads configuration."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, field_validator
from sonic.callers import CALLERS
from sonic.price.v1 import price_pb2, price_pb2_grpc

from services.price.domain.prices import SYMBOL
from services.price.loop import PriceFeed, learning, retention
from services.price.service.history import CandleSource, HistoryService
from services.price.service.minutes import MinutesService
from services.price.service.moves import MovesService
from services.price.service.prices import PriceService, Settings
from services.price.service.retention import Ages, HistoryRetention
from services.price.servicer.prices import PriceServicer
from services.price.servicer.streams import StreamsServicer
from services.price.sources import binance, coinbase, kraken
from services.price.sources.coinbase_candles import CoinbaseCandles
from services.price.sources.klines import Klines
from services.price.sources.kraken_candles import KrakenCandles
from services.price.sources.polling import Poller
from services.price.sources.pyth_stream import PythStream
from services.price.sources.rate_limited_http import RateLimitedHttp
from services.price.sources.registry import DEFAULT_SOURCES, REGISTRY
from services.price.sources.source import Source, SourceSetup
from services.price.store.figures import FIGURES, FigureStore
from services.price.store.history import HistoryStore
from services.price.store.hourly_candles import HourlyCandleStore
from services.price.store.prices import PriceStore
from shared.clock import Clock, SystemClock
from shared.config import HttpAddress, ServiceConfig
from shared.database.migrations import migrated
from shared.database.pool import Database
from shared.lifecycle import App, run
from shared.metrics import Reading, SidePort, process, serve
from shared.rpc.server import GrpcServer
from shared.server_figures import of_server
from shared.streams import StreamHub

# The window of the volatility, and a day.
_LEAST_KEPT_DAYS = 31
# Providers of hourly candles, the most complete first.
_CANDLES: Mapping[str, Callable[[RateLimitedHttp], CandleSource]] = {
    binance.NAME: Klines,
    coinbase.NAME: CoinbaseCandles,
    kraken.NAME: KrakenCandles,
}
NAMES = [one.full_name for one in price_pb2.DESCRIPTOR.services_by_name.values()]


class Config(ServiceConfig):
    """Every knob of the price service."""

    service: ClassVar[str] = "price"

    listen_address: str = Field("127.0.0.1:50051", description="host:port to serve on")
    sonic_live: bool = Field(
        False, description="1 = live prices from the start, 0 = the demo market until told"
    )
    sonic_demo_seed: str = Field(
        "sonic", min_length=1, description="makes the demo market; same seed, same prices"
    )
    price_assets: tuple[str, ...] = Field(
        ("BTC", "ETH", "SOL"),
        min_length=1,
        max_length=100,
        description="tracked assets",
        examples=["BTC,ETH"],
    )
    price_sources: tuple[str, ...] = Field(
        DEFAULT_SOURCES,
        description=f"live sources, of {', '.join(REGISTRY)}; three or more outvote one that lies",
        examples=["coingecko,pyth,coinbase,kraken"],
    )
    price_candle_sources: tuple[str, ...] = Field(
        tuple(_CANDLES),
        description=f"who is asked for a year of hourly candles of live assets, in turn, of"
        f" {', '.join(_CANDLES)}; empty: nobody, the own history alone",
        examples=["binance,coinbase"],
    )
    price_min_refresh_seconds: float = Field(
        30.0,
        ge=0,
        le=3600,
        description="a younger refresh answers instead of asking the sources again",
    )
    price_call_timeout_seconds: float = Field(
        10.0, gt=0, le=60, description="bound of a whole call to a source"
    )
    price_history_minutes_after_days: float = Field(
        2,
        ge=0,
        le=36_500,
        description="older minutes keep their first, highest, lowest and last price; 0 = all",
    )
    price_history_hours_after_days: float = Field(
        14,
        ge=0,
        le=36_500,
        description="older hours keep their first, highest, lowest and last price; 0 = all",
    )
    price_history_kept_days: float = Field(
        400, ge=0, le=36_500, description="how long the history is kept, 31 or more; 0 = for ever"
    )
    coingecko_url: HttpAddress = "https://api.coingecko.com"
    coingecko_api_key: SecretStr = Field(
        SecretStr(""), description="demo key, lifts 5 calls a minute to 30"
    )
    coingecko_markets: bool = Field(
        False, description="1 = ask CoinGecko's markets page, which has the range of 24 hours too"
    )
    pyth_hermes_url: HttpAddress = "https://hermes.pyth.network"
    sonic_streams: bool = Field(
        False, description="1: Pyth's stream of prices pulls the next look forward; polling goes on"
    )
    stream_move_percent: float = Field(
        0.5, ge=0.05, le=50, description="a price that moved so much since the last look is news"
    )
    coinbase_url: HttpAddress = "https://api.exchange.coinbase.com"
    kraken_url: HttpAddress = "https://api.kraken.com"
    binance_url: HttpAddress = Field(
        "https://api.binance.com", description="address; fills the history, a source or not"
    )
    jupiter_price_url: HttpAddress = "https://api.jup.ag"
    jupiter_api_key: SecretStr = Field(
        SecretStr(""), description="lifts a call in 2 seconds to one a second"
    )
    yahoo_url: HttpAddress = "https://query1.finance.yahoo.com"

    @field_validator("price_history_kept_days")
    @classmethod
    def _holds_the_volatility(cls, value: float) -> float:
        if 0 < value < _LEAST_KEPT_DAYS:
            raise ValueError(f"volatility needs {_LEAST_KEPT_DAYS} days; 0 = for ever")
        return value

    @field_validator("price_assets")
    @classmethod
    def _are_symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        symbols = tuple(dict.fromkeys(symbol.strip().upper() for symbol in value))
        if wrong := [symbol for symbol in symbols if not SYMBOL.fullmatch(symbol)]:
            raise ValueError(f"no asset symbol: {', '.join(wrong)[:60]}")
        return symbols

    @field_validator("price_sources")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip().lower() for name in value))
        if unknown := [name for name in names if name not in REGISTRY]:
            raise ValueError(
                f"unknown source {', '.join(unknown)[:60]}; known are {', '.join(REGISTRY)}"
            )
        return names

    @field_validator("price_candle_sources")
    @classmethod
    def _have_candles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip().lower() for name in value))
        if unknown := [name for name in names if name not in _CANDLES]:
            raise ValueError(
                f"no source of candles: {', '.join(unknown)[:60]}; known are {', '.join(_CANDLES)}"
            )
        return names


def build(config: Config, clock: Clock | None = None) -> App:
    """The service as an application; nothing is opened before it starts."""
    clock = clock or SystemClock()
    database = Database(config.database_url.get_secret_value(), application_name="price")
    live = connected(config, clock)
    parts = {name: part for name, (_, part) in live.items()}
    # Candles come from these, whether they are sources of prices or not.
    https = parts | {
        name: REGISTRY[name].connect(_setup(config, name, clock))[1]
        for name in {binance.NAME, *config.price_candle_sources} - set(parts)
    }
    poller = Poller(
        [source for source, _ in live.values()], config.sonic_demo_seed, clock, process(), parts
    )
    read = database.open(PriceStore, isolation="AUTOCOMMIT")
    service = PriceService(database.open(PriceStore), read, poller, clock, _settings(config))
    streams = _streams(config, service, clock)
    feed = PriceFeed(service.revision, service.changes, clock)
    service.on_change(feed.wake)
    history = HistoryService(
        database.open(HistoryStore),
        Klines(https[binance.NAME]),
        clock,
        config.price_assets,
        ensure_market=service.ensure_market,
        changed=feed.wake,
    )
    forgetting = HistoryRetention(database.open(HistoryStore), clock, _ages(config))
    moves, minutes = _candles(config, database, https, clock, service)
    servicer = PriceServicer(service, history, moves, minutes, feed.news, clock)
    server = GrpcServer(
        config.listen_address,
        [
            (price_pb2_grpc.add_PriceServiceServicer_to_server, servicer),
            (price_pb2_grpc.add_StreamsServiceServicer_to_server, StreamsServicer(streams.watch)),
        ],
        service_names=NAMES,
        ready=migrated(database, Path(__file__).parent / "migrations"),
        clock=clock,
        channelz=config.channelz,
        identity=config.identity,
        callers=CALLERS,
        health_address=config.health_address,
    )
    side = _side(config, database, clock)
    loops = [retention(forgetting.trim, clock), learning(moves.refresh, clock)]
    return App("price", [database, *https.values(), feed, streams, *loops, server, side])


def _side(config: Config, database: Database, clock: Clock) -> SidePort:
    return serve(
        config.metrics_address,
        of_server("price", config.tls, [database]),
        Reading("price", FIGURES, FigureStore(database, clock).read),
    )


def _streams(config: Config, service: PriceService, clock: Clock) -> StreamHub:
    """Without SONIC_STREAMS none."""
    pyth = PythStream(config.pyth_hermes_url, service, clock, config.stream_move_percent)
    return StreamHub([pyth] if config.sonic_streams else (), clock, process())


def _candles(
    config: Config,
    database: Database,
    https: Mapping[str, RateLimitedHttp],
    clock: Clock,
    service: PriceService,
) -> tuple[MovesService, MinutesService]:
    """What learns from candles, and what hands them on."""
    sources = [_CANDLES[name](https[name]) for name in config.price_candle_sources]
    begin, assets, seed = (
        database.open(HourlyCandleStore),
        config.price_assets,
        config.sonic_demo_seed,
    )
    ensure = service.ensure_market
    return (
        MovesService(begin, sources, clock, assets, seed, ensure_market=ensure),
        MinutesService(begin, sources, clock, assets, seed, ensure_market=ensure),
    )


def connected(config: Config, clock: Clock) -> dict[str, tuple[Source, RateLimitedHttp]]:
    """The enabled live sources by name, each with its own address."""
    return {
        name: REGISTRY[name].connect(_setup(config, name, clock)) for name in config.price_sources
    }


def _setup(config: Config, name: str, clock: Clock) -> SourceSetup:
    """Each source's address, and its key where it takes one."""
    keyless = SecretStr("")
    url, key = {
        "coingecko": (config.coingecko_url, config.coingecko_api_key),
        "pyth": (config.pyth_hermes_url, keyless),
        "coinbase": (config.coinbase_url, keyless),
        "kraken": (config.kraken_url, keyless),
        "binance": (config.binance_url, keyless),
        "jupiter": (config.jupiter_price_url, config.jupiter_api_key),
        "yahoo": (config.yahoo_url, keyless),
    }[name]
    return SourceSetup(
        url,
        key.get_secret_value(),
        config.price_call_timeout_seconds,
        clock,
        config.coingecko_markets,
    )


def _settings(config: Config) -> Settings:
    return Settings(
        config.price_assets,
        config.sonic_live,
        config.sonic_demo_seed,
        timedelta(seconds=config.price_min_refresh_seconds),
    )


def _ages(config: Config) -> Ages:
    days = (
        config.price_history_minutes_after_days,
        config.price_history_hours_after_days,
        config.price_history_kept_days,
    )
    return Ages(*(timedelta(days=count) or None for count in days))


def main() -> None:
    """Start one process of the service."""
    raise SystemExit(run(Config, build))


if __name__ == "__main__":
    main()
