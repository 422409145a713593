"""What the remaining distance of each missed goal is made of, and what would close it."""

DISTANCES: dict[str, str] = {
    "G3": (
        "At 100 and 1,000 positions a cycle is its fixed calls and commits (G6) and not its rows: "
        "at 10,000 it takes little longer than at 100. SQLite has the tool's own process to "
        "itself and, with a write-ahead log, does not wait for the disk at a commit; ours does. "
        "The goals would need a cycle of some 15 ms whatever its size: one process and one "
        "transaction, and no service that owns its rows alone."
    ),
    "G4": (
        "Theirs is the evaluation of rules held in memory, without scrape and log. Ours reads the "
        "columns from positions, judges, passes the fence and commits. Of the Python of alerts in "
        "a quiet cycle the rules are a fifth; the rest is the call, the columns, the statement "
        "and the loop. The arithmetic alone (G19 counts it) would be at about the goal, and would "
        "be another thing than what is promised: a level that is never apart from its row."
    ),
    "G6": (
        "At this size nothing is left but calls: eleven steps, each with the words, the deadline "
        "and the identity of a call, a statement that fences and commits, and what cyclone writes "
        "and tells of it. A third to nearly half of the Python of a quiet cycle is the event loop "
        "and gRPC below it, and a quarter of all CPU is cyclone itself. Fewer and larger steps "
        "(CREATE, EVALUATE and CLEAR as one call; SYNC, ENRICH and SNAPSHOT as one) would halve "
        "the calls; 1.5 would need that, and no record of progress that is waited for."
    ),
    "G7": (
        "More than half is alerts: each changed level gets its new state and a row of the ledger, "
        "whose keyed hash covers the row before it. Postgres uses nearly as much CPU for the two "
        "as Python does. What is told is a small part since bursts are digests. Within three "
        "quiet cycles there would have to be room for 90,000 rows of a chain, with their index: "
        "narrower rows, and one link of the chain a commit instead of one a row, which changes "
        "what a verified ledger says."
    ),
    "G8": (
        "About half of the CPU of positions for a call is the event loop and gRPC's C, and more "
        "is in gRPC's own threads, which the bare call has as well. What stands beside it: a "
        "statement (a connection lent, driver, store; Postgres joins four small tables to the "
        "row), who calls and until when, and making the message. Connections are lent by a pool of "
        "ours: the driver's takes one back in a task of its own, two turns of the loop. The "
        "stores of nouns that a read does not need are not made, nor the id of a call that "
        "nobody asks for. Two turns of the loop for the statement are left over what the bare "
        "call has, and Python functions by the hundred. Who joins no tables would have to keep "
        "names in memory."
    ),
    "G9": (
        "What is kept of a position is some 200 bytes of columns, inputs among them: the goal "
        "itself. Beyond it, as far as the code says (it was not measured by part): the frame "
        "before stands while a pass is made, the bytes of COPY and the blocks worked on come to "
        "it, and what they took the allocator keeps for the next pass. To close it: 32 bits for "
        "times and keys where they fit, and blocks written into the frame in place."
    ),
    "G10": (
        "Theirs is kept in memory and not signed. Ours is two commits on disk (the message with "
        "its delivery; the receipt), the claim between them, a signature and an HTTP call. Of the "
        "Python of xcom over a third is the event loop and gRPC's C and a fifth statements; "
        "Postgres adds half of what Python uses. Batches help where many come at once, and there "
        "a burst is one digest already. One at a time the floor of a durable notification is two "
        "calls and three statements, which alone are above the goal in Python."
    ),
    "G11": (
        "Nothing to do still means one cycle a minute, nine servers that ask their database every "
        "five seconds whether it answers, `sonic up` that asks each of them every ten, and loops "
        "that look for what is due. Nearly half of the CPU of the Python processes is gRPC's own "
        "threads: after a call each of them looks for more, first every 15 ms, then more and more "
        "seldom for ten seconds, and has no setting for it. `sonic up` therefore asks all servers "
        "at one moment. Memory: 25 to 36 MB of a server are its own, since Python "
        "writes into every page whose objects it uses; in one process it is the libraries. Asking "
        "less would find a dead database later. Fewer processes would help most, which is "
        "`--one-process`."
    ),
    "G12": (
        "Three quarters of the CPU of a start is imports: over half of it in the process whose "
        "forks are the servers (some 1,900 modules; 720 dataclasses, which Python writes, "
        "compiles and runs one by one, are 40 % of them), a fifth in the command. Both import at "
        "the same time, which took a fifth to a quarter off a second start; a server is forked "
        "as soon as its own modules are there, while the next are imported, and no garbage is "
        "looked for meanwhile, which took off a sixth. What is waited for now is that one "
        "process's imports. To halve it again: fewer dataclasses on the way (a quarter of what "
        "they cost are the methods of frozen, written anew for each), and modules that only some "
        "calls need loaded with the first of them."
    ),
    "G13": (
        "Of 2.2 s for 100,000 new positions of a wallet that is known 0.8 s is the JSON read "
        "into rows: half of it strict JSON (0.2 s is msgspec making the objects, as much are a "
        "key that stands twice, depth, and digits without end), half columns, each field "
        "checked and refused by name where it is bad; the reference reads typed fields as they "
        "come. 0.55 s is the rest of Python, over a third of it 100,000 events: one object "
        "each, encoded value by value. 0.9 s is Postgres: the row with three indexes, and the "
        "event with two. The first look at a new wallet is one event, and 1.95 s. Where only "
        "marks change it is 1.65 s as well, half of that reading. To bring it near the "
        "reference the events would have to be one for many, and ids would need no index of "
        "their own; the index stays."
    ),
    "G14": (
        "Three quarters are positions: a quarter of that statements and rows (the driver makes a "
        "record, the store a dataclass of it), nearly a quarter the message, written as JSON, a "
        "tenth the figures of each row, the rest the loop. The gateway hands the bytes on as they "
        "are and has a sixth. The reference copies bytes. Rows that go from the driver into JSON "
        "without a dataclass between would save perhaps a third; a page kept for the next reader "
        "would meet the goal, and could be older than what was committed."
    ),
    "G15": (
        "One position more is a new membership. By its steps, at 100,000, CREATE_ALERTS takes "
        "40 to 45 ms more than in a quiet cycle, CLEAR_STALE_ALERTS some 12 and LINK_HEDGES, "
        "beside them, between 4 and 23; all others what they take. Each of the three asks for "
        "the keys of all positions once more, and compares them with its own: texts and figures "
        "are read of the new ones alone. To close it, one reading of the keys for all three, or "
        "the keys of only those that came and went since an epoch."
    ),
    "G18": (
        "On either side of its limit, by the machine: nearly all of it is CPU in the server, the "
        "arithmetic over a year of hourly samples of every wallet and asset. It was not looked at "
        "further here."
    ),
}
