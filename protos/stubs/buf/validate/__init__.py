"""The validation rules our protos use; their schema comes from the protovalidate wheel, never from
here.
"""
