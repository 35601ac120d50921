"""The ground floor: errors and durable files, which every other package stands on."""
