"""Stands in for the generated module of buf/validate/validate.proto: made from the protovalidate
wheel.
"""

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from google.protobuf.internal import builder
from protovalidate._gen.buf.validate import validate_pb

# The schema's own imports must be in the pool before it.
_IMPORTS = (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2)

# The wheel carries the schema only as a descriptor; adding the same file twice to the pool is
# harmless.
DESCRIPTOR = descriptor_pool.Default().AddSerializedFile(validate_pb.desc().proto.to_binary())

builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, globals())
builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, "buf.validate.validate_pb2", globals())
