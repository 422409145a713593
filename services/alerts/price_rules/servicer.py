"""RulesService on the wire."""

from __future__ import annotations

from sonic.alerts.v1 import alerts_pb2 as pb
from sonic.alerts.v1 import alerts_pb2_grpc as rpc

from services.alerts.price_rules.service import PriceRules
from services.alerts.servicer.edit_mapping import new_rule, rule_edit, rule_message
from services.alerts.servicer.mapping import Context


class RulesServicer(rpc.RulesServiceServicer):
    def __init__(self, rules: PriceRules) -> None:
        self._rules = rules

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
