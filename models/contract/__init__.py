"""Types shared by server and models: frame state, avatar description, ARKit names; numpy only."""
