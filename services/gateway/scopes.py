"""What each RPC asks of whoever calls it over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from services.gateway.surface import Route
from shared.tokens import Scope


def _words(names: str) -> frozenset[str]:
    return frozenset(names.split())


# What a person does from day to day. A method that changes something and is not named here asks
# for ADMIN: clearing, who is told of what, and what services say among themselves.
OPERATE: Mapping[str, frozenset[str]] = {
    "price": _words(
        """
        RefreshPrices InsertPrice UpdatePriceRecord DeletePriceRecord BackfillHistory
        """
    ),
    "positions": _words(
        """
        CreatePosition UpdatePosition DeletePosition ImportPositions
        ImportPositionsStream SyncPositions EnrichPositions CreateWallet UpdateWallet
        DeleteWallet ImportWallets CreateBroker UpdateBroker DeleteBroker CreateSnapshot
        RecordSnapshot DeleteSnapshot StartSession EndSession UpdateStrategy
        SetHeatModifiers ImportModifiers
        """
    ),
    "hedges": _words(
        """
        LinkHedges UnlinkHedges UpdateHedge SetModifiers ImportModifiers
        """
    ),
    "alerts": _words(
        """
        CreateAlert UpdateAlert DeleteAlert AcknowledgeAlert SilenceAlert UnsilenceAlert
        CreateThreshold UpdateThreshold DeleteThreshold ResetThreshold ImportThresholds
        CreateRule UpdateRule DeleteRule CreateAlerts EnrichAlerts EvaluateAlerts
        ProcessAlerts ClearStaleAlerts
        """
    ),
    "monitor": _words(
        """
        RunMonitor RunMonitors SnoozeMonitor UpdateMonitor DismissBadge
        """
    ),
    "xcom": _words(
        """
        AckMessage ResendDelivery TestChannel UseLink CreateMaintenanceWindow
        EndMaintenanceWindow
        """
    ),
    "cyclone": _words(
        """
        RunCycle StartCycle CancelCycle UpdateSchedule PlanDrill AnswerDrill CancelDrill
        """
    ),
    "withdrawals": _words(
        """
        Evaluate SyncTransactions ImportSamples ImportConfig ImportTokenRegistry
        ImportFlows CreateFlow DeleteFlow SetReference DeleteReference SetWallet
        DeleteWallet CreateAsset UpdateAsset DeleteAsset UpdateSchedule
        """
    ),
}


def scope_of(route: Route) -> Scope:
    """The least that may call it."""
    if route.reads:
        return Scope.READ
    names = OPERATE.get(route.service, frozenset())
    return Scope.OPERATE if route.method.name in names else Scope.ADMIN
