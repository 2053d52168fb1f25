"""What KFP's published client knows and our schema does not, and the other way round, each with the reason."""

OPERATIONS_APART = {
    "dummy_filter_service_get_filter": "KFP has the service to publish the shape of filters, and serves it nowhere",
    "upload_pipeline": "multipart, which no rpc can say: a plain HTTP handler, in KFP too",
    "upload_pipeline_version": "multipart, which no rpc can say: a plain HTTP handler, in KFP too",
}

OPERATIONS_OF_OURS = {
    "run_service_read_artifact": "a plain HTTP handler in KFP; as an rpc it is served over gRPC too, in the same JSON",
}

MODELS_APART = {
    "InlineObject": "the body of UpdatePipeline: a Pipeline without what the path says",
    "InlineObject1": "the body of UpdatePipelineVersion: a PipelineVersion without what the path says",
    "ProtobufAny": "google.protobuf.Any, whose fields in JSON are those of what it holds",
    "ProtobufNullValue": "null, which JSON has of its own",
}

INLINE_BODIES = {"InlineObject": "Pipeline", "InlineObject1": "PipelineVersion"}

MESSAGES_OF_OURS = {
    "ReadArtifactResponse": "the answer of run_service_read_artifact",
}
