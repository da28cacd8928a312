//! The tests of the `crossfade` binary in files whose tests need programs that do not come with Rust. Each test is listed with its
//! tools; without them it is ignored, or fails if the variable `CI` is `true` (`crossfade_testkit::tools`).

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod canary;
mod demo;
mod deploy_live;
mod deploy_serverless;
mod dev;
mod docs;
mod foreign;
mod four_fronts;
mod front;
mod handlers;
mod inspector;
mod inspector_migration;
mod inspector_page;
mod list_rules;
mod local_fronts;
mod real_servers;
mod recipes;
mod reload;
/// The logs of the tests of `report`.
mod report {
    pub(crate) mod logs;
}
mod report_page;
mod stores;
mod support;

use std::process::ExitCode;

use crossfade_testkit::moto::MOTO;
use crossfade_testkit::tests;
use crossfade_testkit::tools::{self, BASH, COMPILER, CURL, NGINX, NODE, PYTHON};

use deploy_serverless::PACKAGED;
use foreign::{BUILD_TOOLS, NODE_CLIENT};
use support::browser::BROWSER;

fn main() -> ExitCode {
    tools::run(tests! {
        [] canary::what_is_secret_is_in_no_output;
        [] canary::a_configuration_keeps_its_secrets;
        [] canary::values_of_the_environment_are_shown_by_their_names;
        [] canary::values_of_the_environment_are_shown_by_their_names_however_they_are_rendered;
        [] canary::what_goes_wrong_in_dev_keeps_its_secrets;
        [CURL] canary::what_another_function_reports_is_looked_through;
        [] canary::listener_rules_keep_their_secrets;
        [] docs::every_complete_example_is_right;
        [] docs::the_overlay_is_one;
        [] docs::every_command_is_one;
        [] docs::the_runbook_works_as_it_is_written;
        [] docs::the_readme_shows_the_output_of_its_commands;
        [CURL] docs::the_tour_works_as_it_is_written;
        [] docs::an_ellipsis_stands_for_lines_and_nothing_else_does;
        [CURL] demo::both_versions_of_http_give_the_same_bytes.await;
        [CURL] demo::only_the_demo_authority_vouches_for_the_back_ends.await;
        [CURL] demo::connections_and_requests_are_counted_apart.await;
        [CURL] demo::closing_connections_ends_open_ones_and_accepts_new_ones.await;
        [CURL] demo::every_command_that_the_demo_prints_works;
        [CURL] demo::a_report_on_a_log_in_another_folder_trusts_the_demo;
        [CURL] demo::customers_move_with_the_weights_and_no_step_has_a_warning;
        [PACKAGED] deploy_live::the_function_may_do_what_its_place_needs_and_nothing_else;
        [PACKAGED] deploy_live::nothing_that_the_function_cannot_write_is_deployed_with_an_alarm_or_a_schedule;
        [PACKAGED] deploy_live::the_function_is_told_its_place;
        [PACKAGED] deploy_live::the_bucket_is_private_versioned_encrypted_and_outlives_the_stack;
        [PACKAGED] deploy_live::the_schedule_invokes_this_function_and_does_not_retry;
        [PACKAGED] deploy_live::only_its_own_rule_may_report_the_alarm;
        [PACKAGED] deploy_live::people_have_a_policy_for_all_commands_and_one_that_can_only_abort;
        [PACKAGED] deploy_live::the_local_load_balancer_reads_the_file_with_each_place;
        [PACKAGED] deploy_serverless::listener_rules_have_priorities_conditions_and_one_target;
        [PACKAGED] deploy_serverless::no_rule_has_more_than_five_values;
        [PACKAGED] deploy_serverless::the_target_group_has_multi_value_headers_and_a_health_check;
        [PACKAGED] deploy_serverless::only_load_balancers_may_invoke_the_function;
        [PACKAGED] deploy_serverless::the_function_is_the_binary_on_amazon_linux_2023;
        [PACKAGED] deploy_serverless::the_role_allows_logs_and_nothing_else;
        [PACKAGED] deploy_serverless::the_local_load_balancer_reads_the_same_from_the_file_and_from_the_template;
        [PACKAGED] deploy_serverless::the_lines_of_the_readme_are_valid;
        [CURL] dev::what_comes_through_is_byte_identical_to_asking_the_back_end;
        [CURL] dev::path_query_and_cookies_arrive_as_they_were_sent;
        [CURL] dev::three_cookies_survive_single_value_headers;
        [CURL] dev::each_request_is_one_readable_line;
        [] dev::each_request_is_shown_whatever_is_logged;
        [CURL] dev::a_dead_back_end_is_told_with_its_cause;
        [CURL] dev::a_configuration_in_the_current_folder_does_not_contradict_an_option;
        [CURL] dev::a_configuration_names_its_authority_relative_to_itself;
        [CURL] dev::listener_rules_come_from_the_serverless_file;
        [CURL] dev::a_signal_stops_everything_and_leaves_nothing_behind;
        [CURL] dev::nobody_reading_is_no_reason_to_fail;
        [CURL] dev::a_function_that_writes_without_end_is_borne;
        [CURL] dev::long_lines_that_nobody_reads_are_borne;
        [CURL] dev::long_records_are_kept_whole;
        [NODE, COMPILER, BUILD_TOOLS, NODE_CLIENT, CURL] foreign::node_on_awss_own_runtime_client;
        [PYTHON, CURL] foreign::python_on_awss_own_runtime_client;
        [BUILD_TOOLS, CURL] foreign::rust_on_lambda_http;
        [PACKAGED] four_fronts::the_file_and_its_package_have_the_same_front_ends;
        [] four_fronts::one_function_responds_through_each_of_them;
        [CURL] local_fronts::a_function_stands_behind_several_front_ends_at_a_time;
        [CURL] local_fronts::a_function_streams_to_a_function_url;
        [CURL] front::the_load_balancer_is_on_both_loopback_addresses_or_where_host_says;
        [CURL] front::https_with_a_certificate_of_this_run_attributes_and_an_access_log;
        [] handlers::each_handler_has_its_command;
        [NODE, COMPILER, BUILD_TOOLS, NODE_CLIENT] handlers::node_handlers_run_and_reload;
        [PYTHON] handlers::the_command_of_the_message_gets_the_client_of_python;
        [] front::errors_in_options_are_reported_before_anything_starts;
        [] front::a_trust_store_that_only_aws_has_is_asked_for;
        [] inspector::a_request_is_told_from_the_rule_to_the_comparison;
        [] inspector::our_routes_are_explained_and_a_failover_has_both_steps;
        [] inspector::every_answer_is_guarded;
        [] inspector::a_replay_needs_the_token_and_sends_what_was_sent;
        [BASH, CURL] inspector::the_text_for_curl_does_the_same;
        [] inspector::the_list_is_narrowed_by_words_and_by_choices;
        [] inspector::many_requests_are_all_counted;
        [] inspector::the_inspector_can_be_elsewhere_or_not_at_all;
        [] inspector_migration::a_move_needs_evidence_or_a_reason_and_an_abort_nothing;
        [] inspector_migration::a_request_is_explained_with_the_live_state_that_decided;
        [] inspector_migration::without_a_plan_or_live_state_one_line_says_how_to_get_the_page;
        [BROWSER] inspector_migration::a_person_moves_users_and_takes_them_back;
        [BROWSER] inspector_page::a_person_finds_out_what_became_of_a_request;
        [] list_rules::the_table_is_printed_and_nothing_is_started;
        [] list_rules::each_kind_of_file_has_its_option;
        [] list_rules::all_errors_are_reported_at_once_and_lenient_downgrades_quotas;
        [] list_rules::several_functions_need_a_command_each;
        [NODE, CURL] list_rules::each_function_runs_its_own_command;
        [NGINX, CURL] real_servers::nginx_answers_as_it_does_directly;
        [PYTHON, CURL] real_servers::django_3_lets_its_users_log_in;
        [PYTHON, CURL] real_servers::django_5_lets_its_users_log_in;
        [CURL] recipes::assets_come_from_the_system_that_has_them;
        [CURL] recipes::http_becomes_https_though_the_back_end_does_not_ask_for_it;
        [CURL] reload::a_change_of_the_code_is_in_the_next_request_and_requests_in_progress_end;
        [CURL] reload::without_reload_nothing_changes;
        [CURL] reload::a_debugger_has_one_environment_and_all_the_time;
        [CURL] reload::rules_are_read_again_and_errors_change_nothing;
        [CURL] reload::output_has_its_colours_where_they_are_wanted_and_a_warning_about_replies_comes_once;
        [CURL] reload::each_environment_has_its_own_port;
        [CURL] reload::what_cannot_run_is_told_before_anything_starts;
        [CURL] reload::a_handler_without_a_runtime_client_is_told_which_one_it_needs;
        [BROWSER] report_page::the_page_shows_what_differs;
        [BROWSER] report_page::time_labels_can_be_read_whatever_the_span;
        [BROWSER] report_page::the_page_leads_with_the_gate;
        [BROWSER] report_page::odd_logs_make_sound_pages;
        [] stores::a_file_keeps_the_rules_of_all_stores.await;
        [MOTO] stores::an_object_keeps_the_rules_of_all_stores.await;
        [MOTO] stores::a_parameter_keeps_the_rules_of_all_stores.await;
        [] stores::a_hosted_configuration_keeps_the_rules_of_all_stores.await;
        [MOTO] stores::the_history_of_an_object_has_pages_neighbours_and_deletions.await;
        [MOTO] stores::a_bucket_without_versions_says_so.await;
        [] stores::a_write_whose_response_was_lost_is_no_conflict.await;
        [] stores::a_bucket_in_another_region_is_found.await;
        [] stores::errors_say_in_one_line_what_to_do.await;
        [MOTO] stores::claims_of_a_dead_writer_are_void_after_a_while.await;
        [] stores::deployments_that_bake_are_replaced_and_those_of_others_are_not.await;
        [] stores::writers_of_a_file_lose_no_update.await;
        [MOTO] stores::writers_of_an_object_lose_no_update.await;
        [MOTO] stores::writers_of_a_parameter_lose_no_update.await;
        [] stores::writers_of_a_hosted_configuration_lose_no_update.await;
        [MOTO] stores::a_log_group_is_read_to_its_end.await;
        [] stores::lines_that_come_twice_count_once_and_throttling_passes.await;
    })
}
