# A fixed address for each slot, from a range of its subnet that EC2 gives to nothing by itself. The addresses are hermitcrab's to
# move; here they are only kept free.

locals {
  fixed_addresses = coalesce(var.fixed_addresses, var.auto_scaling_group == null)

  # In each zone 16 addresses, or a quarter of a smaller subnet. The second such block has none of the five that EC2 keeps.
  reserved_blocks = {
    for zone, block in local.subnets :
    zone => cidrsubnet(block, max(28 - tonumber(split("/", block)[1]), 2), 1) if local.fixed_addresses
  }

  slot_zones = { for number in range(var.slot_count) : number => var.zones[number % length(var.zones)] }
  slot_addresses = {
    for number, zone in local.slot_zones :
    number => local.fixed_addresses ? cidrhost(local.reserved_blocks[zone], floor(number / length(var.zones))) : null
  }
}

resource "aws_ec2_subnet_cidr_reservation" "fixed" {
  for_each = local.reserved_blocks

  subnet_id        = aws_subnet.member[each.key].id
  cidr_block       = each.value
  reservation_type = "explicit"
}
