//! Directives without an effect on the choice and the content of responses behind a load balancer, each with the reason, and
//! those that protect or serve a location in a way that Crossfade lacks. Everything else is known by name in `model`, or reported.

/// Returns the reason why a directive is not needed; `None` if it is.
pub(super) fn not_needed(name: &str) -> Option<&'static str> {
    const LISTENS: &str = "the load balancer listens and terminates TLS";
    const RUNS: &str = "Lambda runs and scales the function";
    const LOGS: &str = "the function has a log of its own";
    const CONNECTS: &str = "Crossfade buffers and manages connections by itself";
    const COMPRESSES: &str =
        "Crossfade compresses text where a front end requires it; `compress: true` of a route compresses all";
    Some(match name {
        "listen"
        | "http2"
        | "http3"
        | "quic_retry"
        | "server_tokens"
        | "resolver"
        | "resolver_timeout"
        | "port_in_redirect"
        | "server_name_in_redirect"
        | "absolute_redirect"
        | "real_ip_header"
        | "set_real_ip_from"
        | "real_ip_recursive" => LISTENS,
        _ if name.starts_with("ssl_") || name == "ssl" => LISTENS,
        "user" | "pid" | "daemon" | "events" | "use" | "thread_pool" | "load_module" | "pcre_jit" | "env"
        | "lock_file" | "master_process" | "timer_resolution" | "multi_accept" | "accept_mutex"
        | "debug_connection" => RUNS,
        _ if name.starts_with("worker_") => RUNS,
        "access_log"
        | "error_log"
        | "log_format"
        | "log_not_found"
        | "log_subrequest"
        | "open_log_file_cache"
        | "rewrite_log"
        | "uninitialized_variable_warn" => LOGS,
        "sendfile"
        | "sendfile_max_chunk"
        | "tcp_nopush"
        | "tcp_nodelay"
        | "keepalive_timeout"
        | "keepalive_requests"
        | "keepalive_time"
        | "keepalive"
        | "reset_timedout_connection"
        | "send_timeout"
        | "client_body_buffer_size"
        | "client_body_timeout"
        | "client_body_temp_path"
        | "client_body_in_file_only"
        | "client_header_buffer_size"
        | "client_header_timeout"
        | "large_client_header_buffers"
        | "proxy_buffering"
        | "proxy_buffers"
        | "proxy_buffer_size"
        | "proxy_busy_buffers_size"
        | "proxy_request_buffering"
        | "proxy_http_version"
        | "proxy_temp_path"
        | "proxy_max_temp_file_size"
        | "proxy_temp_file_write_size"
        | "proxy_socket_keepalive"
        | "proxy_send_timeout"
        | "proxy_headers_hash_max_size"
        | "proxy_headers_hash_bucket_size"
        | "server_names_hash_max_size"
        | "server_names_hash_bucket_size"
        | "types_hash_max_size"
        | "types_hash_bucket_size"
        | "map_hash_max_size"
        | "map_hash_bucket_size"
        | "variables_hash_max_size"
        | "variables_hash_bucket_size"
        | "zone"
        | "aio"
        | "directio"
        | "output_buffers"
        | "postpone_output"
        | "open_file_cache"
        | "ignore_invalid_headers"
        | "underscores_in_headers"
        | "merge_slashes"
        | "lingering_close"
        | "lingering_timeout"
        | "lingering_time"
        | "connection_pool_size"
        | "request_pool_size"
        | "proxy_ssl_session_reuse"
        | "proxy_ssl_server_name"
        | "types"
        | "hostnames"
        | "volatile"
        | "sub_filter_once"
        | "sub_filter_last_modified"
        | "mirror_request_body"
        | "index" => CONNECTS,
        _ if name.starts_with("gzip") || name.starts_with("brotli") => COMPRESSES,
        _ => return None,
    })
}

/// Returns the reason why Crossfade cannot serve a location with this directive; `None` if it is not of this kind.
pub(super) fn serves(name: &str) -> Option<&'static str> {
    const FILES: &str = "Crossfade serves no files: give it a back end that does";
    const PROTOCOL: &str = "Crossfade speaks HTTP to its back ends, and no other protocol";
    Some(match name {
        "root" | "alias" | "try_files" | "autoindex" | "random_index" | "gzip_static" | "mp4" | "flv"
        | "image_filter" | "dav_methods" => FILES,
        "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "grpc_pass" | "memcached_pass" => PROTOCOL,
        "stub_status" | "empty_gif" | "js_content" | "perl" | "echo" | "status" | "api" => {
            "Crossfade has no such response"
        }
        _ if name.starts_with("content_by_lua") => "Crossfade runs no code",
        _ => return None,
    })
}

/// Returns the reason if the directive protects a location. Without it, everyone would have access.
pub(super) fn protects(name: &str) -> Option<&'static str> {
    Some(match name {
        "auth_basic" | "auth_request" | "auth_jwt" | "satisfy" | "limit_except" | "secure_link"
        | "secure_link_secret" | "valid_referers" | "auth_delay" => {
            "Crossfade authenticates nobody: let the load balancer or the back end do it"
        }
        _ if name.starts_with("access_by_lua") || name.starts_with("rewrite_by_lua") => "Crossfade runs no code",
        _ if name.starts_with("modsecurity") => "use AWS WAF",
        _ => return None,
    })
}

/// Returns the reason why another known directive is not imported.
pub(super) fn not_imported(name: &str) -> &'static str {
    match name {
        "limit_req" | "limit_conn" | "limit_rate" | "limit_rate_after" | "limit_req_zone" | "limit_conn_zone" => {
            "Crossfade limits no rates: use AWS WAF or the function's concurrency"
        }
        "client_max_body_size" => "the load balancer limits uploads to Lambda to 1 MB",
        "error_page" | "proxy_intercept_errors" => {
            "Crossfade passes error responses of back ends through; `errorPages` replaces only its own"
        }
        "expires" | "etag" | "if_modified_since" => "use `responseHeaders`",
        "auth_basic_user_file" | "auth_request_set" => "it belongs to the protection that is not imported",
        "stream" | "mail" => "Crossfade proxies HTTP only",
        "geo" => "use an `ip` condition",
        "set" | "set_by_lua_block" | "js_set" | "perl_set" => "variables of a request are not supported",
        "proxy_next_upstream_tries" | "proxy_next_upstream_timeout" | "proxy_next_upstream" => {
            "use `failover` and `retry`"
        }
        "proxy_cookie_domain" | "proxy_cookie_path" => "use `publicUrl`",
        "proxy_method" | "proxy_set_body" | "proxy_pass_request_body" | "proxy_pass_request_headers" => {
            "Crossfade passes on the request's method and content"
        }
        "proxy_pass_header" | "proxy_ignore_headers" => "Crossfade passes on all fields except hop-by-hop fields",
        "proxy_bind" => "the function's subnet and security group decide",
        _ if name.starts_with("proxy_cache") || name == "proxy_store" || name.starts_with("proxy_no_cache") => {
            "Crossfade caches nothing: use CloudFront"
        }
        _ if name.starts_with("proxy_ssl") => "use `tls` of the back end",
        _ => "Crossfade has nothing like it",
    }
}
