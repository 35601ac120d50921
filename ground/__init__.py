"""The ground floor: errors, durable files and signatures, which every other package stands on."""
