"""What `sonic` can be asked about: a module a noun, with its verbs."""

from services.cli.nouns.alerts import ALERTS, LEDGER, RULES, THRESHOLDS
from services.cli.nouns.cycles import CYCLES, DATA, DRILLS, SCHEDULE, STREAMS
from services.cli.nouns.hedges import HEDGES
from services.cli.nouns.messages import CHANNELS, DELIVERIES, WINDOWS
from services.cli.nouns.monitors import MONITORS
from services.cli.nouns.portfolio import MODIFIERS, PORTFOLIO
from services.cli.nouns.positions import POSITIONS
from services.cli.nouns.prices import PRICES
from services.cli.nouns.wallets import ACCOUNTS, BROKERS, WALLETS
from services.cli.nouns.withdrawals import WITHDRAWALS

NOUNS = (
    POSITIONS,
    HEDGES,
    ALERTS,
    THRESHOLDS,
    RULES,
    LEDGER,
    PRICES,
    PORTFOLIO,
    WALLETS,
    ACCOUNTS,
    BROKERS,
    MONITORS,
    DELIVERIES,
    CHANNELS,
    WINDOWS,
    WITHDRAWALS,
    CYCLES,
    DRILLS,
    SCHEDULE,
    STREAMS,
    MODIFIERS,
    DATA,
)
