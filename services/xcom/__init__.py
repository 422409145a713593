"""XCom: durable messages to people, one queue of deliveries, one channel a file."""
