"""Encoders as int8 ONNX: BERT's family without torch, others with it."""
