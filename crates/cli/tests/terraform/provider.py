"""A stand-in for Terraform's AWS provider, so that `validate`, `plan`, `apply` and `test` work without AWS. It has the arguments
and attributes of the real one (schema.json) and no behaviour: it accepts every value, and an `apply` creates nothing.

Speaks Terraform's plugin protocol 5 (hashicorp/terraform, docs/plugin-protocol/tfplugin5.proto). Its few messages are encoded and
decoded here, so that no generated code is needed.
"""

import json
import os
import sys
import threading
from concurrent import futures

import grpc
import msgpack

# What Terraform sends instead of a value that is known only after `apply` (cty, docs/msgpack.md).
UNKNOWN = msgpack.ExtType(0, b"\0")
NESTING = {"single": 1, "list": 2, "set": 3}
ACCOUNT = "123456789012"
PLACE = f"eu-west-1:{ACCOUNT}"

with open(os.environ["AWS_STAND_IN_SCHEMA"], encoding="utf-8") as file:
    SCHEMA = json.load(file)


def varint(number):
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded + bytes([number]))


def member(tag, value):
    """A member of a message: a number or a boolean, a text or bytes."""
    if isinstance(value, int):
        return varint(tag << 3) + varint(int(value))
    value = value.encode() if isinstance(value, str) else value
    return varint(tag << 3 | 2) + varint(len(value)) + value


def members(message):
    """The members of a message by tag. Of several with one tag, the last."""
    found, at = {}, 0

    def number():
        nonlocal at
        result, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            result |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return result

    while at < len(message):
        key = number()
        if key & 7 == 0:
            found[key >> 3] = number()
        else:
            length = number()
            found[key >> 3] = message[at : at + length]
            at += length
    return found


def block(found):
    message = b""
    for name, it in sorted(found["attributes"].items()):
        is_computed = it.get("computed", False)
        is_optional = not it["required"] and (not is_computed or it.get("optional", False))
        attribute = member(1, name) + member(2, json.dumps(it["type"]))
        message += member(2, attribute + member(4, it["required"]) + member(5, is_optional) + member(6, is_computed))
    for name, it in sorted(found["blocks"].items()):
        nested = member(1, name) + member(2, block(it["block"])) + member(3, NESTING[it["nesting"]])
        message += member(3, nested + member(4, it["min"]) + member(5, it["max"]))
    return message


def schema(found):
    return member(1, 0) + member(2, block(found))


PROVIDER = {
    "attributes": {"region": {"type": "string", "required": False}, "profile": {"type": "string", "required": False}},
    "blocks": {
        "default_tags": {
            "nesting": "list",
            "min": 0,
            "max": 1,
            "block": {"attributes": {"tags": {"type": ["map", "string"], "required": False}}, "blocks": {}},
        }
    },
}
WHOLE_SCHEMA = member(1, schema(PROVIDER)) + b"".join(
    member(2, member(1, name) + member(2, schema(found))) for name, found in SCHEMA.items()
)


def value(message):
    """The value of a DynamicValue."""
    return msgpack.unpackb(members(message)[1], strict_map_key=False)


def dynamic(it):
    return member(1, msgpack.packb(it))


def with_unknown(found, it):
    """A planned block: what the provider fills in is not known yet."""
    for name, attribute in found["attributes"].items():
        if attribute.get("computed") and it[name] is None:
            it[name] = UNKNOWN
    return it


ARNS = {
    "aws_cloudwatch_event_rule": f"arn:aws:events:{PLACE}:rule/%s",
    "aws_cloudwatch_log_group": f"arn:aws:logs:{PLACE}:log-group:%s",
    "aws_cloudwatch_metric_alarm": f"arn:aws:cloudwatch:{PLACE}:alarm:%s",
    "aws_iam_policy": f"arn:aws:iam::{ACCOUNT}:policy/%s",
    "aws_iam_role": f"arn:aws:iam::{ACCOUNT}:role/%s",
    "aws_lambda_function": f"arn:aws:lambda:{PLACE}:function:%s",
    "aws_lb_target_group": f"arn:aws:elasticloadbalancing:{PLACE}:targetgroup/%s/0123456789abcdef",
    "aws_s3_bucket": "arn:aws:s3:::%s",
}
NAMES = ["name", "function_name", "alarm_name", "bucket", "id"]


def created(kind, it):
    """After `apply`: everything is known. A name that AWS would make has the type of the resource in it."""
    attributes = SCHEMA[kind]["attributes"]
    short = kind.removeprefix("aws_").replace("_", "-")

    def unknown(name):
        return isinstance(it[name], msgpack.ExtType)

    for name in NAMES:
        if name in it and unknown(name):
            prefix = it.get(f"{name}_prefix")
            prefix = prefix if isinstance(prefix, str) else f"{short}-"
            it[name] = f"{prefix}0001"
    name = next(it[name] for name in NAMES if isinstance(it.get(name), str))
    for attribute, about in attributes.items():
        if unknown(attribute):
            texts = {"arn": ARNS.get(kind, "arn:aws:%s") % name, "region": "eu-west-1"}
            empty = {"number": 0, "bool": False, "string": f"{short}-{attribute}"}
            of_type = empty[about["type"]] if isinstance(about["type"], str) else None
            it[attribute] = texts.get(attribute, of_type)
    return it


def text(it):
    return it.decode()


def plan(message):
    request = members(message)
    proposed = value(request[3])
    if proposed is not None:
        proposed = with_unknown(SCHEMA[text(request[1])], proposed)
    return member(1, dynamic(proposed))


def apply(message):
    request = members(message)
    planned = value(request[3])
    return member(1, dynamic(planned and created(text(request[1]), planned)))


def upgrade(message):
    request = members(message)
    state = json.loads(members(request[3])[1])
    return member(1, dynamic(state))


ENDED = threading.Event()


def shut_down(_):
    ENDED.set()
    return b""


ANSWERS = {
    "tfplugin5.Provider": {
        "GetSchema": lambda _: WHOLE_SCHEMA,
        "PrepareProviderConfig": lambda message: member(1, members(message)[1]),
        "ValidateResourceTypeConfig": lambda _: b"",
        "Configure": lambda _: b"",
        "UpgradeResourceState": upgrade,
        "ReadResource": lambda message: member(1, members(message)[2]),
        "PlanResourceChange": plan,
        "ApplyResourceChange": apply,
        "Stop": lambda _: b"",
    },
    "plugin.GRPCController": {"Shutdown": shut_down},
}


def main():
    if "TF_PLUGIN_MAGIC_COOKIE" not in os.environ:
        sys.exit("Terraform starts this program.")
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    for service, methods in ANSWERS.items():
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(lambda message, _, answer=answer: answer(message))
            for name, answer in methods.items()
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # Core protocol 1, plugin protocol 5.
    print(f"1|5|tcp|127.0.0.1:{port}|grpc", flush=True)
    ENDED.wait()
    server.stop(1).wait()


main()
