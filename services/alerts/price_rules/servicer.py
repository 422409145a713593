"""RulesService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.price_rules.service.edits import PriceRules
from services.alerts.price_rules.service.versions import RuleVersions
from services.alerts.servicer.edit_mapping import new_rule, rule_edit, rule_message
from services.alerts.servicer.mapping import Context
from services.alerts.servicer.version_mapping import comparison_message, version_message


class RulesServicer(rpc.RulesServiceServicer):
    def __init__(self, rules: PriceRules, versions: RuleVersions) -> None:
        self._rules = rules
        self._versions = versions

    async def ListRules(
        self, request: pb.ListRulesRequest, context: Context
    ) -> pb.ListRulesResponse:
        page = await self._rules.list(request.page_size, request.page_token)
        return pb.ListRulesResponse(
            rules=map(rule_message, page.rows), next_page_token=page.next_page_token
        )

    async def GetRule(self, request: pb.GetRuleRequest, context: Context) -> pb.Rule:
        return rule_message(await self._rules.get(request.id))

    async def CreateRule(self, request: pb.CreateRuleRequest, context: Context) -> pb.Rule:
        return rule_message(await self._rules.create(new_rule(request.rule)))

    async def UpdateRule(self, request: pb.UpdateRuleRequest, context: Context) -> pb.Rule:
        rule = request.rule
        return rule_message(await self._rules.update(rule.id, rule.etag, rule_edit(request)))

    async def DeleteRule(
        self, request: pb.DeleteRuleRequest, context: Context
    ) -> pb.DeleteRuleResponse:
        await self._rules.delete(request.id, request.etag)
        return pb.DeleteRuleResponse()

    async def ListRuleVersions(
        self, request: pb.ListRuleVersionsRequest, context: Context
    ) -> pb.ListRuleVersionsResponse:
        page = await self._versions.list(request.page_size, request.page_token)
        return pb.ListRuleVersionsResponse(
            versions=map(version_message, page.rows), next_page_token=page.next_page_token
        )

    async def CompareRuleVersions(
        self, request: pb.CompareRuleVersionsRequest, context: Context
    ) -> pb.VersionComparison:
        return comparison_message(
            await self._versions.compare(request.number, request.other_number)
        )

    async def RestoreRules(
        self, request: pb.RestoreRulesRequest, context: Context
    ) -> pb.VersionComparison:
        restored = await self._versions.restore(
            request.number, request.last_number, dry_run=request.dry_run
        )
        return comparison_message(restored)
