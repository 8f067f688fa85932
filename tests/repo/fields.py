"""Which test changes behaviour by changing a field, for every field that people may write."""

from __future__ import annotations

_MANIFESTS = "tests/unit/operator/test_manifests.py::"
_WORKFORCE = "tests/unit/operator/test_workforce.py::"
_DECLARED = "tests/unit/operator/test_declared.py::"
_ROUTE = "tests/unit/operator/test_route_limits.py::"
_PLAN = "tests/unit/operator/test_plan.py::"
_TASK = "tests/unit/runtime/test_template_fields.py::"
_MODEL = "tests/integration/runtime/test_model_fields.py::"
_BRAKE = "tests/unit/runtime/test_restrictions.py::"
_TIER = "tests/integration/runtime/test_tiers.py::"
_WORDS = "tests/integration/runtime/test_messages.py::test_what_an_end_user_reads_where_there_is_no_answer"
_HTTP = "tests/integration/runtime/test_http_tools.py::"
_PATIENCE = "tests/integration/runtime/test_patience.py::"
_FALLBACK = "tests/integration/runtime/test_fallbacks.py::"
_PRODUCT = "tests/integration/operator/test_fields.py::"
_STRATEGY = "tests/unit/rollout/test_strategy_fields.py::"
_DEADLINES = "tests/unit/rollout/test_deadlines.py::"
_GUARDRAILS = "tests/unit/analysis/test_guardrail_fields.py::"

_POD = _MANIFESTS + "test_the_pod_has_what_the_agent_says_of_it_and_nothing_when_it_says_nothing"
_TOLERATION = _MANIFESTS + "test_every_part_of_a_toleration_is_handed_on_and_none_is_made_up"
_RESOURCES = _MANIFESTS + "test_the_container_gets_the_resources_that_are_declared_and_no_others"
_ENV = _MANIFESTS + "test_further_variables_reach_the_worker"
_CREDENTIAL = _MANIFESTS + "test_the_credential_is_mounted_and_the_worker_told_where"
_INSTRUCTIONS_FROM = _DECLARED + "test_the_instructions_are_read_from_the_key_that_is_named"
_OFFERED = _TASK + "test_the_model_is_offered_each_tool_as_it_is_declared"
_APPROVAL = _TASK + "test_effect_and_approval_decide_who_is_asked"
_OVERSIGHT = "tests/unit/runtime/test_oversight.py::"
_WHEN = _OVERSIGHT + "test_a_rule_asks_where_its_argument_fits_and_nowhere_else"
_WHOSE = _OVERSIGHT + "test_a_rule_says_whose_word_it_takes_and_of_how_many"
_REMEMBERING = "tests/unit/runtime/test_remembering.py::"
_SIGN_IN = _OVERSIGHT + "test_a_rule_says_that_whoever_decides_shows_a_token_of_the_cluster"
_BY_NAME = _OVERSIGHT + "test_a_rule_about_tools_asks_for_those_whose_whole_name_fits"
_TIMEOUT = _OVERSIGHT + "test_how_long_a_call_waits_and_what_holds_then_is_as_declared"
_PRICE = "tests/unit/runtime/test_pricing.py::test_what_the_agent_declares_comes_before_all"
_STANDING_IN = _FALLBACK + "test_a_fallback_has_the_models_address_and_key_unless_it_has_its_own"
_FALLBACK_PRICE = "tests/unit/runtime/test_pricing.py::test_whoever_stands_in_has_its_own_price"
_LIMIT = _TASK + "test_the_same_usage_ends_a_task_under_the_lower_limit_and_not_under_the_higher"
_ADMISSION = _ROUTE + "test_the_route_carries_the_limit_that_the_template_declares"
_BUDGET = "tests/unit/operator/test_budgets.py::test_the_ledger_is_told_each_limit_that_is_declared"
_RATES = _ROUTE + "test_the_route_carries_the_rates_of_users_and_tenants"
_COSTS = "tests/unit/analysis/test_costs.py::"
_COMPARING = "tests/unit/rollout/test_comparing.py::"
_MAY_ADD = _COMPARING + "test_what_the_next_step_may_add_is_declared"
_IGNORED = _COMPARING + "test_smaller_differences_are_ignored"
_TOLERATED = _COMPARING + "test_how_much_higher_values_may_be_is_declared"
_SPENDING = "tests/unit/rollout/test_money.py::"
_HARM_BUDGET = "tests/unit/rollout/test_harm_budget.py::"
_HARM = _HARM_BUDGET + "test_a_canary_that_has_done_its_harm_is_stopped_and_not_rejected"
_HARM_BOUND = _HARM_BUDGET + "test_a_route_carries_the_limits_with_the_tools_that_count"
_RINGS = "tests/unit/rollout/test_rings.py::"
_RINGED = _RINGS + "test_each_number_that_is_declared_holds_the_next_ring_or_does_not"
_SHADOW = "tests/unit/rollout/test_shadow_stage.py::"
_SHADOWED = _SHADOW + "test_each_number_that_is_declared_holds_the_first_step_or_does_not"
_GATES = "tests/unit/rollout/test_external_gates.py::"
_ASKED = "tests/unit/operator/test_gates.py::"
_UNDONE = (
    "tests/integration/runtime/test_compensations.py::"
    "test_what_it_takes_to_undo_a_call_is_kept_or_it_is_said_why_not"
)
_OVER = _GUARDRAILS + "test_a_limit_condemns_what_is_over_it_and_spares_what_is_under_it"

#: A field with one legal value: there is nothing to vary until there is a second one.
ONE_VALUE = "only one value is legal"

TESTS = {
    "Agent": {
        "template.version": _DECLARED + "test_the_status_shows_the_version_that_the_template_names",
        "template.instructions": _MODEL + "test_the_instructions_are_the_system_prompt",
        "template.instructionsFrom.configMapKeyRef.name": _INSTRUCTIONS_FROM,
        "template.instructionsFrom.configMapKeyRef.key": _INSTRUCTIONS_FROM,
        "template.model.provider": ONE_VALUE,
        "template.model.name": _MODEL + "test_the_declared_model_is_the_one_that_is_asked",
        "template.model.maxTokens": _TASK
        + "test_a_reply_is_asked_for_with_the_declared_number_of_tokens",
        "template.model.effort": _MODEL
        + "test_the_declared_effort_is_sent_and_none_when_there_is_none",
        "template.model.baseURL": _MODEL
        + "test_an_agents_own_endpoint_comes_before_the_installations",
        "template.model.credentialsSecretRef.name": _CREDENTIAL,
        "template.model.credentialsSecretRef.key": _CREDENTIAL,
        "template.model.price.inputPerMTok": _PRICE,
        "template.model.price.outputPerMTok": _PRICE,
        "template.model.price.cachedInputPerMTok": _PRICE,
        "template.model.timeoutSeconds": _PATIENCE
        + "test_a_model_is_given_up_after_the_declared_time_and_not_before",
        "template.model.retries": _PATIENCE
        + "test_a_failed_call_is_tried_again_as_often_as_declared",
        "template.model.fallbacks[].provider": ONE_VALUE,
        "template.model.fallbacks[].name": _FALLBACK + "test_fallbacks_are_asked_in_their_order",
        "template.model.fallbacks[].baseURL": _STANDING_IN,
        "template.model.fallbacks[].credentialsSecretRef.name": _MANIFESTS
        + "test_a_fallbacks_own_credential_is_mounted_by_its_place",
        "template.model.fallbacks[].credentialsSecretRef.key": _STANDING_IN,
        "template.model.fallbacks[].price.inputPerMTok": _FALLBACK_PRICE,
        "template.model.fallbacks[].price.outputPerMTok": _FALLBACK_PRICE,
        "template.model.fallbacks[].price.cachedInputPerMTok": _FALLBACK_PRICE,
        "template.tools[].name": _OFFERED,
        "template.tools[].description": _OFFERED,
        "template.tools[].inputSchema": _OFFERED,
        "template.tools[].effect": _APPROVAL,
        "template.tools[].approval.mode": _APPROVAL,
        "template.tools[].amountFrom": _OVERSIGHT
        + "test_an_effect_says_what_the_named_argument_says_it_is_worth",
        "template.tools[].shadow": "tests/integration/runtime/test_copies.py::"
        "test_a_tool_that_is_kept_from_copies_sees_no_call_of_one",
        "template.tools[].compensate.tool": _UNDONE,
        "template.tools[].compensate.arguments": _UNDONE,
        "template.tools[].approval.rules[].argument": _WHEN,
        "template.tools[].approval.rules[].above": _WHEN,
        "template.tools[].approval.rules[].contains": _WHEN,
        "template.tools[].approval.rules[].pattern": _WHEN,
        "template.tools[].approval.rules[].approvers": _WHOSE,
        "template.tools[].approval.rules[].minApprovals": _WHOSE,
        "template.tools[].approval.rules[].signIn": _SIGN_IN,
        "template.tools[].approval.rules[].remember": _REMEMBERING
        + "test_without_the_field_nothing_is_remembered_and_never_is_the_same",
        "template.oversight.rules[].name": _BY_NAME,
        "template.oversight.rules[].toolPattern": _BY_NAME,
        "template.oversight.rules[].contains": _OVERSIGHT
        + "test_a_rule_about_data_asks_for_the_calls_that_hold_it",
        "template.oversight.onDeny": _OVERSIGHT
        + "test_a_denied_call_is_told_to_the_model_or_ends_the_task_as_declared",
        "template.oversight.rules[].approvers": _WHOSE,
        "template.oversight.rules[].minApprovals": _WHOSE,
        "template.oversight.rules[].signIn": _SIGN_IN,
        "template.oversight.rules[].remember": _REMEMBERING
        + "test_a_rule_about_data_is_remembered_for_the_same_kinds_alone",
        "template.oversight.timeoutSeconds": _TIMEOUT,
        "template.oversight.onTimeout": _TIMEOUT,
        "template.oversight.handover": _OVERSIGHT
        + "test_the_model_may_ask_for_a_person_by_itself_where_that_is_declared",
        "template.tools[].timeoutSeconds": _PATIENCE
        + "test_a_tool_is_given_up_after_the_declared_time_and_not_before",
        "template.tools[].maxOutputBytes": _PATIENCE
        + "test_the_model_reads_as_much_of_a_tools_output_as_declared",
        "template.tools[].http.method": _HTTP + "test_the_input_goes_out_as_json",
        "template.tools[].http.url": _HTTP
        + "test_the_input_goes_out_as_query_beside_that_of_the_address",
        "template.tools[].http.headersFromSecretRef.name": _MANIFESTS
        + "test_each_tools_headers_are_mounted_under_its_name",
        "template.limits.modelCalls": _LIMIT,
        "template.limits.toolCalls": _TASK
        + "test_the_tool_calls_of_a_task_are_counted_against_their_own_limit",
        "template.limits.identicalActions": _TASK
        + "test_a_loop_is_stopped_after_as_many_identical_calls_as_declared",
        "template.limits.inputTokens": _LIMIT,
        "template.limits.outputTokens": _LIMIT,
        "template.limits.costUSD": _LIMIT,
        "template.limits.wallSeconds": _LIMIT,
        "template.limits.queueSeconds": _ADMISSION,
        "template.limits.inputChars": _ADMISSION,
        "template.cache.mode": "tests/integration/runtime/test_cache.py::"
        "test_without_the_cache_each_request_is_asked",
        "template.cache.ttlSeconds": "tests/integration/runtime/test_cache.py::"
        "test_an_answer_is_kept_as_long_as_declared",
        "template.tiers[].name": _TIER + "test_a_tasks_usage_names_the_tier_that_answered",
        "template.tiers[].model": _TIER + "test_the_first_tier_that_fits_a_task_answers_it",
        "template.tiers[].maxTokens": _TIER
        + "test_a_tier_asks_for_replies_of_its_own_length_or_the_models",
        "template.tiers[].maxInputChars": _TIER + "test_the_first_tier_that_fits_a_task_answers_it",
        "template.tiers[].taskTypes": _TIER + "test_the_first_tier_that_fits_a_task_answers_it",
        "template.messages.escalated": _WORDS,
        "template.messages.unavailable": _WORDS,
        "template.messages.blocked": _WORDS,
        "template.limits.contextTokens": "tests/integration/runtime/test_condensing.py::"
        "test_a_long_session_is_summarised_where_that_is_declared",
        "template.worker.image": _MANIFESTS
        + "test_the_templates_image_comes_before_the_installations",
        "template.worker.env[].name": _ENV,
        "template.worker.env[].value": _ENV,
        "restrictions.denyTools": _BRAKE + "test_a_denied_tool_is_not_called_and_the_model_is_told",
        "restrictions.requireApproval": _BRAKE
        + "test_a_tool_that_a_restriction_names_asks_a_person_as_one_that_always_does",
        "restrictions.denyModels": "tests/integration/runtime/test_restrictions.py::"
        "test_a_denied_model_is_not_asked_and_the_next_fallback_is",
        "restrictions.maxCostUSDPerTask": _BRAKE + "test_the_smaller_cost_of_a_task_counts",
        "budgets.minReplyTokens": "tests/integration/store/test_ledger_refusals.py::"
        "test_a_budgets_own_floor_takes_the_place_of_the_callers",
        "budgets.onExceeded": "tests/integration/runtime/test_budgets.py::"
        "test_a_task_that_a_budget_refuses_ends_as_the_budget_says",
        "budgets.mode": _ROUTE + "test_a_budget_that_only_reports_refuses_nothing",
        "budgets.tokens.hourly": _BUDGET,
        "budgets.tokens.daily": _BUDGET,
        "budgets.tokens.monthly": _BUDGET,
        "budgets.costUSD.perTask": _COSTS
        + "test_the_percentage_is_of_what_a_task_is_expected_to_cost",
        "budgets.costUSD.hourly": _BUDGET,
        "budgets.costUSD.daily": _BUDGET,
        "budgets.costUSD.monthly": _BUDGET,
        "budgets.perUser.tokens.hourly": _BUDGET,
        "budgets.perUser.tokens.daily": _BUDGET,
        "budgets.perUser.tokens.monthly": _BUDGET,
        "budgets.perUser.costUSD.hourly": _BUDGET,
        "budgets.perUser.costUSD.daily": _BUDGET,
        "budgets.perUser.costUSD.monthly": _BUDGET,
        "budgets.perTenant.tokens.hourly": _BUDGET,
        "budgets.perTenant.tokens.daily": _BUDGET,
        "budgets.perTenant.tokens.monthly": _BUDGET,
        "budgets.perTenant.costUSD.hourly": _BUDGET,
        "budgets.perTenant.costUSD.daily": _BUDGET,
        "budgets.perTenant.costUSD.monthly": _BUDGET,
        "budgets.perUser.requestsPerMinute": _RATES,
        "budgets.perTenant.requestsPerMinute": _RATES,
        "scaling.minReplicas": _WORKFORCE + "test_there_are_never_fewer_workers_than_asked_for",
        "scaling.maxReplicas": _WORKFORCE + "test_there_are_never_more_workers_than_allowed",
        "scaling.queuedTasksPerReplica": _WORKFORCE
        + "test_the_backlog_is_divided_by_what_one_replica_answers_for",
        "scaling.maxQueuedTasks": "tests/integration/store/test_bounds.py::"
        "test_an_agents_own_bound_takes_the_place_of_the_installations",
        "scaling.replicas": _WORKFORCE
        + "test_a_number_that_somebody_set_counts_instead_of_the_backlog",
        "worker.concurrency": _MANIFESTS + "test_the_worker_is_told_how_many_tasks_to_run_at_once",
        "worker.resources.requests": _RESOURCES,
        "worker.resources.limits": _RESOURCES,
        "worker.nodeSelector": _POD,
        "worker.tolerations[].key": _TOLERATION,
        "worker.tolerations[].operator": _TOLERATION,
        "worker.tolerations[].value": _TOLERATION,
        "worker.tolerations[].effect": _TOLERATION,
        "worker.imagePullSecrets[].name": _POD,
        "worker.serviceAccountName": _POD,
        "revisionHistoryLimit": _PLAN
        + "test_history_beyond_its_limit_is_pruned_but_never_who_serves",
        "rolloutPolicy": _PRODUCT
        + "test_without_its_rollout_a_canary_waits_until_the_policy_says_immediate",
        "suspended": _PLAN + "test_suspension_is_a_new_route_version_and_an_honest_condition",
    },
    "AgentRollout": {
        "agentRef.name": _DECLARED + "test_a_rollout_is_for_the_agent_that_it_names",
        "unit": _STRATEGY + "test_the_canary_begins_with_the_declared_unit",
        "strategy.steps[].percent": _STRATEGY + "test_a_step_gives_the_canary_its_percent",
        "strategy.steps[].holdSeconds": _STRATEGY
        + "test_a_step_is_not_left_before_its_hold_is_over",
        "strategy.steps[].maxWaitSeconds": _STRATEGY
        + "test_a_step_that_no_task_reached_is_left_after_its_longest_wait",
        "strategy.steps[].minTasks": _STRATEGY + "test_a_step_waits_for_as_many_tasks_as_it_says",
        "strategy.steps[].approval": _STRATEGY
        + "test_a_step_that_needs_approval_waits_for_a_person",
        "strategy.finalHoldSeconds": _STRATEGY + "test_the_final_hold_comes_before_the_promotion",
        "strategy.startDeadlineSeconds": "tests/unit/rollout/test_what_people_read.py::"
        "test_a_canary_whose_pods_never_come_is_stalled_after_the_deadline_and_goes_on_by_itself",
        "strategy.progressDeadlineSeconds": _DEADLINES
        + "test_a_canary_may_wait_for_as_long_as_is_declared",
        "strategy.onDeadline": _DEADLINES + "test_rollback_rejects_it_with_what_was_missing",
        "strategy.firstRevision": "tests/unit/rollout/test_first_revision.py::"
        "test_it_climbs_step_by_step_and_serves_everybody_after_the_final_hold",
        "strategy.rollbackWindowRevisions": "tests/unit/rollout/test_returning.py::"
        "test_a_return_within_the_window_skips_the_steps",
        "strategy.holdbackPercent": _STRATEGY
        + "test_stable_keeps_the_holdback_during_the_final_hold",
        "analysis.guardrails.mode": _GUARDRAILS
        + "test_the_mode_decides_whether_two_failures_in_twenty_are_proof",
        "analysis.guardrails.windowSeconds": _GUARDRAILS
        + "test_what_is_older_than_the_window_is_not_held_against_the_canary",
        "analysis.guardrails.minTasks": _GUARDRAILS
        + "test_literal_waits_for_as_many_tasks_as_it_is_told",
        "analysis.guardrails.onStable": "tests/unit/rollout/test_watch.py::"
        "test_what_follows_a_stable_that_breaks_a_limit_is_declared",
        "analysis.guardrails.onSharedIncident": "tests/unit/rollout/test_incidents.py::"
        "test_what_follows_an_incident_of_both_is_declared",
        "analysis.guardrails.errorRatePercent": _OVER,
        "analysis.guardrails.latencyMeanSeconds": _OVER,
        "analysis.guardrails.escalationRatePercent": _OVER,
        "analysis.comparison.falseRollbackPercent": _COMPARING
        + "test_the_declared_bound_says_how_much_evidence_is_enough",
        "analysis.comparison.nextStepMayAdd.errorsPer1000": _MAY_ADD,
        "analysis.comparison.nextStepMayAdd.escalationsPer1000": _MAY_ADD,
        "analysis.comparison.ignoreBelow.errorsPer1000": _IGNORED,
        "analysis.comparison.ignoreBelow.escalationsPer1000": _IGNORED,
        "analysis.comparison.latencyTolerancePercent": _TOLERATED,
        "analysis.comparison.costTolerancePercent": _TOLERATED,
        "analysis.external[].name": _GATES
        + "test_of_several_the_one_without_a_number_is_told_first",
        "analysis.external[].address": _ASKED
        + "test_an_unknown_name_is_told_with_those_that_may_be_asked",
        "analysis.external[].query": _ASKED + "test_an_edited_gate_is_another_one",
        "analysis.external[].min": _GATES + "test_its_bounds_decide",
        "analysis.external[].max": _GATES + "test_its_bounds_decide",
        "analysis.external[].forSeconds": _GATES
        + "test_it_must_keep_its_bounds_for_as_long_as_declared",
        "analysis.onRegression": _COMPARING + "test_on_pause_a_person_decides",
        "analysis.onNoEvidence": _COMPARING + "test_on_hold_it_waits_for_ever",
        "analysis.dryRun": _COMPARING + "test_a_check_that_only_reports_condemns_and_holds_nothing",
        "analysis.guardrails.costPercentOfBudget": _COSTS
        + "test_the_percentage_is_of_what_a_task_is_expected_to_cost",
        "strategy.shadow.percent": "tests/unit/operator/test_shadow_route.py::test_a_route_carries_the_stage_as_it_is_declared",
        "strategy.shadow.spendCapUSD": _SHADOW
        + "test_what_copies_may_spend_is_bounded_in_the_stage_alone",
        "strategy.shadow.holdSeconds": _SHADOWED,
        "strategy.shadow.minTasks": _SHADOWED,
        "strategy.shadow.minAgreementPercent": _SHADOWED,
        "strategy.rings[].name": _RINGS
        + "test_a_ring_that_is_added_before_the_present_one_comes_next",
        "strategy.rings[].users": _RINGS + "test_the_first_ring_has_the_canary_and_nobody_else",
        "strategy.rings[].tenants": _RINGS + "test_rings_open_one_by_one_and_then_come_the_steps",
        "strategy.rings[].holdSeconds": _RINGED,
        "strategy.rings[].minTasks": _RINGED,
        "analysis.harm.maxFailedTasks": _HARM,
        "analysis.harm.maxIrreversibleCalls": _HARM,
        "analysis.harm.maxAmount.tool": _HARM_BOUND,
        "analysis.harm.maxAmount.sum": _HARM,
        "analysis.canarySpendCapUSD": _SPENDING
        + "test_a_raised_cap_brings_it_back_to_its_share_and_one_that_is_not_higher_does_not",
        "analysis.canaryBudgetPercent": _SPENDING
        + "test_of_each_window_it_may_use_its_part_or_twice_its_share",
        "paused": _STRATEGY + "test_nothing_is_raised_by_itself_while_paused",
        "traffic.canaryPercent": _STRATEGY + "test_a_persons_percent_comes_before_the_steps",
        "traffic.canaryRevision": _STRATEGY
        + "test_a_percent_acts_on_the_revision_it_names_by_name_or_version",
    },
}
