#!/bin/sh
# Listener rules from `crossfade.yaml` by `crossfade export alb-rules`.
# route `orders` needs the function: its users are on several back ends, by `weight`, `pin`, `otherwise` or `optIn`
# route `carts` loses: `retry` of back end `modern`
set -eu
: "${LISTENER_ARN:?the ARN of the listener}"
: "${FUNCTION_TARGET_GROUP_ARN:?the ARN of the target group of the Crossfade function}"
: "${LEGACY_TARGET_GROUP_ARN:?the ARN of the target group of back end legacy, https://legacy.example.com}"
: "${MODERN_TARGET_GROUP_ARN:?the ARN of the target group of back end modern, https://modern.example.com}"
: "${OWN_TARGET_GROUP_ARN:?the ARN of the target group of back end own, https://own.example.com}"

# orders
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 1 \
  --conditions '[{"Field":"path-pattern","PathPatternConfig":{"Values":["/api/orders/*"]}}]' \
  --actions '[{"TargetGroupArn":"'"$FUNCTION_TARGET_GROUP_ARN"'","Type":"forward"}]'

# carts
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 2 \
  --conditions '[{"Field":"http-request-method","HttpRequestMethodConfig":{"Values":["GET","HEAD"]}},{"Field":"path-pattern","PathPatternConfig":{"Values":["/api","/api/*"]}}]' \
  --actions '[{"TargetGroupArn":"'"$MODERN_TARGET_GROUP_ARN"'","Type":"forward"}]'

# search
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 3 \
  --conditions '[{"Field":"host-header","HostHeaderConfig":{"Values":["*.example.com"]}},{"Field":"path-pattern","PathPatternConfig":{"RegexValues":["^/search(/|$)"]}},{"Field":"http-header","HttpHeaderConfig":{"HttpHeaderName":"x-beta","Values":["1","yes*"]}},{"Field":"query-string","QueryStringConfig":{"Values":[{"Key":"v","Value":"1"}]}}]' \
  --actions '[{"TargetGroupArn":"'"$OWN_TARGET_GROUP_ARN"'","Type":"forward"}]' \
  --transforms '[{"HostHeaderRewriteConfig":{"Rewrites":[{"Regex":"^.*$","Replace":"own.example.com"}]},"Type":"host-header-rewrite"}]'

# search
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 4 \
  --conditions '[{"Field":"host-header","HostHeaderConfig":{"Values":["*.example.com"]}},{"Field":"path-pattern","PathPatternConfig":{"RegexValues":["^/search(/|$)"]}},{"Field":"http-header","HttpHeaderConfig":{"HttpHeaderName":"x-beta","Values":["1","yes*"]}},{"Field":"query-string","QueryStringConfig":{"Values":[{"Key":"v","Value":"2"}]}}]' \
  --actions '[{"TargetGroupArn":"'"$OWN_TARGET_GROUP_ARN"'","Type":"forward"}]' \
  --transforms '[{"HostHeaderRewriteConfig":{"Rewrites":[{"Regex":"^.*$","Replace":"own.example.com"}]},"Type":"host-header-rewrite"}]'

# search
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 5 \
  --conditions '[{"Field":"host-header","HostHeaderConfig":{"Values":["*.example.com"]}},{"Field":"path-pattern","PathPatternConfig":{"RegexValues":["^/search(/|$)"]}},{"Field":"http-header","HttpHeaderConfig":{"HttpHeaderName":"x-beta","Values":["1","yes*"]}},{"Field":"query-string","QueryStringConfig":{"Values":[{"Key":"debug","Value":"*"}]}}]' \
  --actions '[{"TargetGroupArn":"'"$OWN_TARGET_GROUP_ARN"'","Type":"forward"}]' \
  --transforms '[{"HostHeaderRewriteConfig":{"Rewrites":[{"Regex":"^.*$","Replace":"own.example.com"}]},"Type":"host-header-rewrite"}]'

# old-blog
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 6 \
  --conditions '[{"Field":"path-pattern","PathPatternConfig":{"Values":["/blog/*"]}},{"Field":"source-ip","SourceIpConfig":{"Values":["10.0.0.0/8"]}}]' \
  --actions '[{"RedirectConfig":{"Host":"blog.example.com","Port":"443","Protocol":"HTTPS","Query":"#{query}&from=shop","StatusCode":"HTTP_301"},"Type":"redirect"}]'

# closed
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 7 \
  --conditions '[{"Field":"path-pattern","PathPatternConfig":{"Values":["/checkout/*"]}}]' \
  --actions '[{"FixedResponseConfig":{"ContentType":"text/html","MessageBody":"<p>It'\''s \"closed\" now","StatusCode":"503"},"Type":"fixed-response"}]'

# default
aws elbv2 create-rule --listener-arn "$LISTENER_ARN" --priority 8 \
  --conditions '[{"Field":"path-pattern","PathPatternConfig":{"Values":["/*"]}}]' \
  --actions '[{"TargetGroupArn":"'"$LEGACY_TARGET_GROUP_ARN"'","Type":"forward"}]'
