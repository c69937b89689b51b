"""The judgements of people, and the data that models are fitted and measured on."""
